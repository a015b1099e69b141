"""A data set of other classes than digits, from files as torchvision leaves them, through the program."""

import json

import numpy as np
from idx_files import idx

from mnistdiff.engine.data.mnist_family import EMNIST_LETTERS


def test_emnist_letters_train_in_processes_resume_and_sample(cli, invoke, tmp_path):
    """Of the real size, since uncompressed files are verified by it and by the number of images of each class."""
    images, labels = EMNIST_LETTERS.files["train"]
    raw = tmp_path / "data" / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / images.name).write_bytes(idx(np.zeros(images.shape, np.uint8)))
    (raw / labels.name).write_bytes(idx((np.arange(labels.shape[0]) % 26 + 1).astype(np.uint8)))
    line = "train --dataset emnist-letters --data-dir data --preset tiny --batch-size 16 --max-steps 2 --run-dir run"
    done = cli(*line.split(), "--processes", 2, "--shards", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = invoke("resume", "run", "--data-dir", "data", "--max-steps", 3, "--processes", 1)
    assert done.returncode == 0, done.stderr
    inspected = json.loads(invoke("inspect", "run", "--json").stdout)
    assert (inspected["step"], inspected["class_names"]) == (3, [*EMNIST_LETTERS.class_names])
    done = invoke("sample", "--class", "g", "--seed", 3, "--checkpoint", "run", "--steps", 2)
    assert done.stdout.split() == [b"inference_samples/class_G_3.png"]
