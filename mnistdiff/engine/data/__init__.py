"""Data sets: loading, verification, order of training; pictures of users."""
