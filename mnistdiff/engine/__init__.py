"""The engine: everything the program can do, without a terminal.

In reading order:

1. ``diffusion``: the paper. Schedule, noise, guidance, samplers, as plain functions of arrays.
2. ``network``: the U-Net that predicts the noise, its moving average, the device it runs on, its graph for ONNX.
3. ``data``: the training images and the order in which they are shown; scans of users brought to their form.
4. ``training``: the objective, the loop, and its state as named tensors.
5. ``checkpoint``: the one file format in which a state survives.
6. ``outputs``: images and curves as files, and pictures read from them.
7. ``inference``: from a checkpoint to images. ``walk`` and ``sampling``; ``editing``: from a picture to another;
   ``interpolation``: from one digit to another; ``classification``: from a picture to its digit. Then how they are
   shown and kept: ``sheets`` of many; ``trajectory``: the way to an image as a film; ``labelled``: sets of them in the
   files of other programs; ``provenance``: what pictures say of themselves; ``reproduction``: drawn again.
8. ``runs``: a training on the disk. ``run_dir``: its files; ``choice``: which of them is meant when a user names a
   folder, or nothing; ``events`` and ``recorder``: what it tells and writes, ``tensorboard`` beside it; ``resumption``:
   what must hold before it goes on; ``report`` and ``film``: what it looks like in the end.
9. ``pipeline``: from settings to a finished run, and from a stopped run onward.
10. ``evaluation``: from a model, or from images, to figures of how good they are.
11. ``doctor``: what this machine offers all of that.
"""
