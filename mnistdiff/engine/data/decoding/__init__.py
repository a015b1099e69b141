"""Decoding of untrusted picture files: metadata are removed before Pillow reads a file."""
