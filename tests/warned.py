"""The warning that comes with every use of the tests' small run, which is finished and has hardly seen an image."""

_WARNING = b"is hardly trained (step 45 of 45, 5,640 images seen)"


def beside_the_warning(stderr: bytes) -> bytes:
    """What else was said; the warning must be there, once."""
    lines = stderr.splitlines(keepends=True)
    others = [line for line in lines if _WARNING not in line]
    assert len(others) == len(lines) - 1, stderr
    return b"".join(others)
