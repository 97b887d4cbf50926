"""Networks in PyTorch, from layout to logits to ONNX. Never imports data."""
