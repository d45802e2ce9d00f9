"""RTSP, V4L2 and GStreamer cameras, looped recordings and drawn scenes."""
