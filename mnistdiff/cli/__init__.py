"""The command line: options in, the engine called, results and talk out."""
