"""A training as it lies on the disk: its folder, what is written there and when, and what is meant by its name."""
