"""TensorRT engines: built on the device from a bundle's verified ONNX, kept in a cache."""
