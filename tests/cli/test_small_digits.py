"""A model of few and small pictures: the 1,797 digits of 8x8 pixels in scikit-learn, as a folder of PNG files."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image


@pytest.mark.soak
def test_a_model_of_the_digits_of_scikit_learn_is_readable_and_no_copy(program, environment, tmp_path):
    """The commands of .github/docs/evaluation.md: about four minutes on two cores."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = tmp_path / "digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image / 16 * 255).astype(np.uint8)).save(folder / f"{number:04}.png")

    def run(line):
        done = subprocess.run(
            [*program, *line.split()],
            cwd=tmp_path,
            env=environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    run("train --dataset digits/ --preset fast --max-steps 500 --holdout 0.1 --run-dir runs/digits")
    run("train-classifier --dataset digits/ --epochs 40")
    report = json.loads(run("evaluate runs/digits --n 1000 --memorization --min-accuracy 97 --json"))
    assert report["memorization"]["images"]["copies"] == 0
    assert len(report["classifiers"]) == 2
