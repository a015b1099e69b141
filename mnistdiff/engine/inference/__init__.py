"""Sampling, editing, interpolation and classification with a trained model."""
