"""Images and curves as PNG: grey levels, labelled sheets, the loss of a run. Arrays in, bytes out."""

import logging

# Before its import: it would warn of a home in which it cannot keep its font list, and of a matplotlibrc file.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
