"""Two streams of frames -> pairs of the same moment: by order, or by time."""
