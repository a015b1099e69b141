"""The checkpoint format: metadata, header, tensors; and the bundled model."""
