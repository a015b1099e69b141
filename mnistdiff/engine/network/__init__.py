"""The network that predicts the noise, and where it runs."""
