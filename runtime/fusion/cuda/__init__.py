"""Fusing on an NVIDIA GPU: CUDA's calls, memory of slots, streams, and other libraries' arrays."""
