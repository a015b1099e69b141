"""Picture files of strangers, from bytes to pixels: each kind is reduced to its pixels before Pillow sees it."""
