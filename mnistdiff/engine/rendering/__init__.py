"""Images and curves as PNG: grey levels, labelled sheets, the loss of a run. Arrays in, bytes out."""
