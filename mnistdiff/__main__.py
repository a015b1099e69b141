"""``python -m mnistdiff``: the same program as the ``mnistdiff`` command."""

from mnistdiff.cli.app import main

if __name__ == "__main__":
    main()
