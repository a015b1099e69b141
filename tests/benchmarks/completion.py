"""How often halves of MNIST's test digits are completed to their label: the page of ``export --html`` and RePaint.

    MNISTDIFF_DATA_DIR=... python tests/benchmarks/completion.py

Of 200 test digits one half is removed and sampled with their label. Printed is the accuracy of both reference
classifiers. The number of rounds was chosen on the 200 digits before these.
"""

import os
from pathlib import Path

import numpy as np

import mnistdiff
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.inference.editing import half
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.setting_types import PREDICTIONS

_DIGITS = slice(200, 400)
_ROUNDS = (0, 1, 10)


def by_student(model, known, missing, labels, rounds):
    """Completed images, as ``assets/demo/completing.js`` makes them for a model of two steps."""
    prediction, seeds = PREDICTIONS[model.settings.prediction], range(len(known))
    first, second = (t for t, _ in model.schedule.inference_timesteps(2, "trailing"))
    alpha, sigma = model.schedule.alpha(second), model.schedule.sigma(second)

    def predict(x_t, t):
        output = model.denoiser(x_t.astype(np.float32), t, labels)
        return prediction.x_0(output, x_t, model.schedule.alpha(t), model.schedule.sigma(t)).clip(-1, 1)

    x_0 = predict(sampling_noise(seeds, 0, known.shape[1:]), first)
    for draw in range(1, rounds + 1):
        composed = np.where(missing, x_0, known)
        x_0 = predict(alpha * composed + sigma * sampling_noise(seeds, draw, known.shape[1:]), second)
    return mnistdiff.to_uint8(np.where(missing, x_0, known)[:, 0])


def main():
    """Print the accuracy by half and by method."""
    student, teacher = mnistdiff.load("bundled-2"), mnistdiff.load("bundled-teacher")
    test = load_images(student.settings.spec, "test", data_dir=Path(os.environ["MNISTDIFF_DATA_DIR"]))[_DIGITS]
    labels, known, classifiers = test.labels.astype(np.int64), to_model_range(test.images), load_reference_classifiers()

    def show(side, name, images):
        right = (100 * (each.predict(images).labels == labels).mean() for each in classifiers)
        print(f"{side:>6}  {name:20} {', '.join(f'{each:.1f} %' for each in right)}", flush=True)

    for side in ("bottom", "left"):
        missing = half(side, 28)
        show(side, "the half alone", np.where(missing, np.uint8(0), test.images))
        for rounds in _ROUNDS:
            show(side, f"bundled-2, rounds: {rounds}", by_student(student, known, missing, labels, rounds))
        pairs = zip(test.images, labels, strict=True)
        completed = [teacher.inpaint(image, side, int(label), seed=k)[0] for k, (image, label) in enumerate(pairs)]
        show(side, "RePaint", np.stack(completed))


if __name__ == "__main__":
    main()
