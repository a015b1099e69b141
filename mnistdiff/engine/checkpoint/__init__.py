"""The checkpoint format: metadata, header, tensors; the bundled model."""
