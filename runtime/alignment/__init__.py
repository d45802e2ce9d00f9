"""Alignment of the two cameras: what `mgdn align` measures and `mgdn fuse --rig` applies."""
