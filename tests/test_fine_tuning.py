"""Fifty digits of a hand make a model of that hand: the preset ``finetune``, with synthetic writers (minutes each).

A writer is a fixed change of MNIST's test images. Of each, five digits a class are given; a thousand others are unseen.
"""

import resource
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import mnistdiff
from mnistdiff.engine.data.datasets import MNIST, LabelledImages
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.evaluation.memorization import find_neighbours, summarize
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.progress import finish

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("default")]

GIVEN, UNSEEN = 5, 100
"""Of each class."""


@dataclass(frozen=True)
class Writer:
    """Slant (shear) and scale of the digits, and whether strokes are thicker, by half of the way to the next pixel.

    ``missed`` is by how much less accurate samples may be than digits of the writer: smaller ones are less readable.
    """

    slant: float
    scale: float
    is_bold: bool = False
    missed: float = 0.02

    def write(self, images):
        return np.stack([self._moved(self._stroked(Image.fromarray(each)), self.slant, self.scale) for each in images])

    def undo(self, images):
        """The images without slant and scale; the thickness stays."""
        return np.stack([self._moved(Image.fromarray(i), -self.slant * self.scale, 1 / self.scale) for i in images])

    def _stroked(self, image):
        return Image.blend(image, image.filter(ImageFilter.MaxFilter(3)), 0.5 * self.is_bold)

    @staticmethod
    def _moved(image, slant, scale):
        across, down = (1 / scale, slant / scale), (0, 1 / scale)
        middle = 14
        back = [(a, b, middle - middle * (a + b)) for a, b in (across, down)]
        return np.asarray(image.transform((28, 28), Image.Transform.AFFINE, sum(back, ()), Image.Resampling.BILINEAR))


WRITERS = {
    "slanted": Writer(-0.45, 0.8),
    "bold": Writer(0.15, 0.95, is_bold=True),
    "small": Writer(0.4, 0.7, missed=0.06),
}


@pytest.fixture(scope="module")
def test_images(real_data_dir):
    data = load_images(MNIST, "test", data_dir=real_data_dir)
    return data[np.random.default_rng(7).permutation(len(data))]


@pytest.fixture(scope="module")
def classifiers():
    return load_reference_classifiers()


def hand_of(writer, data, classes=range(10)):
    """The digits that are given, and those of all classes that are not, in this hand."""
    of = [np.flatnonzero(data.labels == label) for label in range(10)]
    given, unseen = [of[label][:GIVEN] for label in classes], [members[GIVEN : GIVEN + UNSEEN] for members in of]
    parts = [np.concatenate(part) for part in (given, unseen)]
    return [LabelledImages(writer.write(data.images[part]), data.labels[part]) for part in parts]


def save(images, folder):
    for number, (image, label) in enumerate(zip(images.images, images.labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{number}.png")


def fine_tuned(cli, folder):
    """The model that the command of the documents makes of a folder, in the time of two cores for three minutes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = ("train", "--from", "bundled", "--dataset", folder, "--preset", "finetune", "--run-dir", "run", "-q")
    done = cli(*line, cwd=folder.parent, time_out=3600)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(f"\nCPU seconds: {seconds:.0f}")
    assert seconds <= 2 * 180
    return mnistdiff.load(folder.parent / "run")


def drawn(model, labels=range(10), n=UNSEEN):
    """Images of each label: equally many of each, in their order."""
    return np.asarray(model.sample(labels, n, seed=0))


@pytest.fixture(scope="module")
def of_bundled(real_data_dir):
    return drawn(mnistdiff.load("bundled-teacher"))


def distances(images, others, classifiers):
    """The Fréchet distance of the features of each classifier."""
    pairs = [[Gaussian.fit(each.predict(part).features) for part in (images, others)] for each in classifiers]
    return [frechet_distance(*pair) for pair in pairs]


def accuracies(images, labels, classifiers):
    return [float((each.predict(images).labels == labels).mean()) for each in classifiers]


def nearest(images, given):
    found = finish(find_neighbours(images, given, stage="nearest"))
    return found, summarize(found, images, given)


@pytest.mark.parametrize("name", WRITERS)
def test_fifty_digits_of_a_hand_make_a_model_of_that_hand(cli, test_images, classifiers, of_bundled, tmp_path, name):
    writer = WRITERS[name]
    given, unseen = hand_of(writer, test_images)
    save(given, tmp_path / "hand")
    images = drawn(fine_tuned(cli, tmp_path / "hand"))

    before, after = (distances(each, unseen.images, classifiers) for each in (of_bundled, images))
    readable, of_unseen = (
        accuracies(writer.undo(each), unseen.labels, classifiers) for each in (images, unseen.images)
    )
    (_, copied), (_, control) = (nearest(each, given.images) for each in (images, unseen.images))
    sys.stdout.write(
        f"\n{name}: distance {before} -> {after}; accuracy {readable}, of unseen digits {of_unseen}; "
        f"nearest {copied}, of unseen digits {control}"
    )
    assert all(new <= old / 2 for new, old in zip(after, before, strict=True))
    assert all(found >= real - writer.missed for found, real in zip(readable, of_unseen, strict=True))
    assert copied.copies == 0
    assert copied.ratio_share <= control.ratio_share + 0.01
    assert copied.quantiles["0.5"] >= 0.75 * control.quantiles["0.5"]


def test_classes_of_which_there_are_no_pictures_are_not_forgotten_and_a_new_one_is_learned(
    cli, test_images, classifiers, tmp_path
):
    given, _ = hand_of(WRITERS["slanted"], test_images, classes=range(5))
    save(given, tmp_path / "hand")
    crosses = [cross(number) for number in range(10)]
    (tmp_path / "hand/x").mkdir()
    for number, image in enumerate(crosses):
        Image.fromarray(image).save(tmp_path / "hand/x" / f"{number}.png")
    model = fine_tuned(cli, tmp_path / "hand")

    labels = np.repeat(np.arange(10), 50)
    images = WRITERS["slanted"].undo(drawn(model, n=50))
    known, others = (accuracies(images[part], labels[part], classifiers) for part in (labels < 5, labels >= 5))
    found, _ = nearest(drawn(model, [10], 50), np.concatenate([given.images, crosses]))
    are_crosses = float((found.index >= len(given)).mean())
    sys.stdout.write(f"\n0 to 4: accuracy {known}; 5 to 9, without pictures: {others}; crosses: {are_crosses}")
    assert min(known) >= 0.95
    assert min(others) >= 0.95
    assert are_crosses >= 0.9


def cross(number):
    """A hand-drawn x."""
    random, image = np.random.default_rng(number), Image.new("L", (112, 112))
    x, y = (side + random.integers(-8, 9, 2) for side in ([30, 82], [28, 84]))
    draw, width = ImageDraw.Draw(image), int(random.integers(8, 13))
    draw.line([x[0], y[0], x[1], y[1]], 255, width)
    draw.line([x[1], y[0], x[0], y[1]], 255, width)
    return np.asarray(image.resize((28, 28), Image.Resampling.LANCZOS))
