"""The studio: a local web page that draws, reads and explains digits with the public Python API."""
