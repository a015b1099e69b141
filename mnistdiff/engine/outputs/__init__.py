"""Output files: images with provenance metadata, sheets, animations, data sets, plots."""

import logging

# Before its import: it would warn of a home in which it cannot keep its font list, and of a matplotlibrc file.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
