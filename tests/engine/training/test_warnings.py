"""Warnings about settings that are valid and hardly meant."""

import pytest

from mnistdiff.engine.training.warnings import warnings_of
from mnistdiff.pictures import Pictures
from mnistdiff.presets import resolve


def of(preset, classes=("a", "b"), pictures=50, **settings):
    """Settings of a training on pictures."""
    counts = (pictures // len(classes),) * len(classes)
    made = {"image_size": 28, "digest": "0" * 64, "fit": "pad", "inverted": False, "border": 0}
    train = resolve([("test", {"preset": preset, **settings})]).train
    record = Pictures(title="mine", class_names=classes, class_counts=counts, **made)
    return train.model_copy(update={"dataset": "pictures", "pictures": record})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (of("finetune"), []),
        (of("fast"), ["50 images", "1,000 times", "max_steps"]),
        (of("fast", max_steps=300), []),
        (of("fast", holdout=0.2), ["40 images", "1,000 times"]),
        (of("fast", pictures=2000), []),
        (of("fast", pictures=2000, augment=["flip"]), ["flip"]),
        (of("fast", pictures=2000, augment=["flip"], classes=("cat", "dog")), []),
        (of("fast", pictures=2000, timesteps=100, beta_schedule="linear"), ["beta_schedule"]),
    ],
)
def test_a_warning_names_what_is_hardly_meant(settings, named):
    warnings = warnings_of(settings)
    assert len(warnings) == (1 if named else 0)
    assert all(word in warnings[0] for word in named)
