"""Run fusion bundles on video: sources, sessions, sinks, bundles, quality and latency."""
