"""Train a class-conditional diffusion model (DDPM) on MNIST and draw the digit you ask for."""

__version__ = "0.2.0"
