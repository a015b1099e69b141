"""The checkpoint file: format, strict reading, and what it says of itself."""
