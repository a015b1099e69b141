"""The engine: everything the program can do, without a terminal.

In reading order:

1. ``diffusion``: noise schedules, prediction types, guidance, samplers, as functions of arrays.
2. ``network``: the networks, their moving average, devices, evaluation with ONNX Runtime.
3. ``data``: data sets and the order of their images; preprocessing of users' images.
4. ``training``: the losses (``objective``, ``distillation``), the loop, the optimizers, the state as named tensors,
   processes, precision.
5. ``checkpoint``: the file format of states and weights.
6. ``inference``: sampling, editing, inpainting, interpolation, classification with a trained model.
7. ``outputs``: images, animations, sheets, data set files, plots, and the provenance metadata in images.
8. ``runs``: run directories. ``run_dir`` is their layout, ``recorder`` writes them during a training, ``lookup`` finds
   checkpoints, ``resume`` checks the preconditions of resuming, ``html_report`` and ``preview_animation`` show a run.
9. ``pipeline``: train a model, resume a training.
10. ``evaluation``: metrics of a model's images.
11. ``doctor``: check the installation.
"""
