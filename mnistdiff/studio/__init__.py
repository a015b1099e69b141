"""The studio: a local web page that samples, reads and explains, on the public Python API alone.

``server`` listens and stops, ``app`` has the table of routes, ``safety`` guards them, ``jobs`` computes one thing at a
time, ``events`` streams what it finds. Each of ``about``, ``draw``, ``hand``, ``explain`` and ``runs`` has the routes
of a part of the page, ``room`` what they share. Nothing else of the program imports this package.
"""
