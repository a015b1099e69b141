"""The command line: options in, the engine called, results and talk out."""

import gc

# Before the imports of this package: they make 50,000 objects that stay, and searching them for garbage takes 15 ms.
gc.set_threshold(100_000)
