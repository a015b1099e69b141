"""Types and validation of the arguments that several functions of the Python API have."""

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypedDict, TypeGuard

import numpy as np
from pydantic import Field

from mnistdiff.conflicts import refuse_ineffective
from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.engine.data.image_files import ImageSource
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import SampleSpec, specs_for_labels, specs_in_order
from mnistdiff.engine.randomness import new_seed
from mnistdiff.errors import SettingsError, shown, validate
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Count, Seed

Label = int | str
"""A class, by its label or by its name."""
Labels = Label | Iterable[Label] | None
"""A class; several; a word of class names of one character, such as ``"2026"``, sampled in its order; None: all."""


class InpaintOptions(TypedDict, total=False):
    """Sample settings of inpainting: ranges and defaults are those of ``SampleSettings``."""

    guidance: float
    guidance_interval: tuple[float, float] | str
    steps: int
    spacing: str


class SampleOptions(InpaintOptions, total=False):
    """Sample settings: ranges and defaults are those of ``SampleSettings``."""

    sampler: str
    eta: float


def specs_of(spec: DatasetSpec, labels: Labels, n: int, seed: int | None) -> list[SampleSpec]:
    """The images to sample: ``n`` of each label (or of the number), from ``seed`` on."""
    n, seed = validate("n", Count, n), first_seed(seed)
    if is_word(labels, spec):
        for letter in labels:
            if letter.isdecimal() and letter not in spec.class_names:
                raise SettingsError(f"`labels` {shown(labels)}: {letter!r} is no class of {spec.title}")
        return specs_in_order([label_of(spec, "labels", letter) for letter in labels] * n, seed)
    if labels is None:
        each: Iterable[Label] = range(spec.num_classes)
    else:
        each = labels if isinstance(labels, Iterable) and not isinstance(labels, str) else [labels]
    return specs_for_labels([label_of(spec, "labels", one) for one in each], n, seed)


def is_word(labels: Labels, spec: DatasetSpec) -> TypeGuard[str]:
    """Whether labels are a word of characters that are classes, and not the name of one class."""
    if not isinstance(labels, str) or any(len(name) > 1 for name in spec.class_names):
        return False
    try:
        spec.label_of(labels)
    except ValueError:
        return len(labels) > 1
    return labels in spec.class_names


def ends_of(
    spec: DatasetSpec, start: Label, end: Label, seed: int | None, end_seed: int | None
) -> tuple[SampleSpec, SampleSpec]:
    """The two images of an interpolation: from one seed, unless ``end_seed`` is another."""
    first = first_seed(seed)
    last = first if end_seed is None else validate("end_seed", Seed, end_seed)
    return SampleSpec(label_of(spec, "start", start), first), SampleSpec(label_of(spec, "end", end), last)


def label_of(spec: DatasetSpec, name: str, label: Label) -> int:
    """A label of the data set, given as the argument ``name``: the label itself, or the name of the class.

    Raises:
        SettingsError: if there is no such class.
    """
    if isinstance(label, str):
        try:
            return spec.label_of(label)
        except ValueError as error:
            raise SettingsError(f"`{name}` {shown(label)}: {error}", "Use the name of a class.") from error
    return validate(name, Annotated[int, Field(ge=0, lt=spec.num_classes)], label)


def first_seed(seed: int | None) -> int:
    """The seed of the first image: ``seed``, or a new one."""
    return new_seed() if seed is None else validate("seed", Seed, seed)


def several(images: ImageSource | Iterable[ImageSource]) -> Iterable[ImageSource]:
    """One or more images as several; uint8 (N, H, W) are N images."""
    if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable):
        return [images]
    return [images] if isinstance(images, np.ndarray) and images.ndim == 2 else images


def settings_of(model: DiffusionModel, given: Mapping[str, Any], **defaults: Any) -> SampleSettings:
    """The sample settings ``given``, over ``defaults`` and those of the model.

    Raises:
        SettingsError: for an unknown name, a value out of range, or a setting that has no effect beside the others.
    """
    settings = model.sample_settings(**{**defaults, **given})
    values = {name: [getattr(settings, name)] for name in given}
    refuse_ineffective(values, lambda name: f"`{name}` {given[name]}", timesteps=model.settings.timesteps)
    return settings
