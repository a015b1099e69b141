"""Decode untrusted picture files: each format is stripped of its metadata before Pillow reads it."""
