"""Training: the loss, the loop, the optimizers, and the state as named tensors."""
