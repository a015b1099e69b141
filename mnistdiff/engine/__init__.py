"""The engine: everything the program can do, without a terminal.

In reading order:

1. ``diffusion``: the paper. Schedule, noise, guidance, samplers, as plain functions of arrays.
2. ``network``: the U-Net that predicts the noise, its moving average, the device it runs on, its graph for ONNX.
3. ``data``: the training images and the order in which they are shown.
4. ``training``: the objective, the loop, and its state as named tensors.
5. ``checkpoint``: the one file format in which a state survives.
6. ``rendering``: images and curves as PNG.
7. ``run_dir``: the files of a run; ``choice``: which of them is meant when a user names a folder, or nothing.
8. ``sampling``: from a checkpoint to images; ``provenance``: what they say of themselves; ``trajectory``: films of it;
   ``interpolation``: from one to another; ``sheets``: drawings compared; ``labelled``: sets of them in the files of
   other programs.
9. ``pipeline``: from settings to a finished run, and, by ``resumption``, from a stopped run onward.
10. ``evaluation``: from a model, or from images, to figures of how good they are.
11. ``doctor``: what this machine offers all of that.
"""
