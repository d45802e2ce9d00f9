"""PyTorch networks, checkpoint readers, training and ONNX export (needs the ``export`` extra)."""
