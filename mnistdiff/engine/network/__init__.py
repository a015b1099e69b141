"""Networks in PyTorch, their moving average, devices, and their evaluation with ONNX Runtime."""
