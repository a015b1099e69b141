"""Sampling images from a trained model: noise by seed, a sampling process, guidance.

Commands and the previews of a training all sample through ``sample``: the same weights, labels and seeds give the same
pixels everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.guidance import guided
from mnistdiff.engine.diffusion.predictions import FloatArray, x_0_from_eps
from mnistdiff.engine.diffusion.samplers import PredictX0, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import OutOfMemoryError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import MAX_SEED, PREDICTIONS

BATCH_SIZE = 64
"""Images sampled at once: enough to keep two cores busy, few enough that the first images appear soon."""
_CUDA_BATCH_SIZE = 1024
"""Not measured."""


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """One image to sample: label and seed determine it for a given model and given sample settings."""

    label: int
    seed: int


@dataclass(frozen=True)
class Sample:
    """One sampled image.

    Attributes:
        label: class index.
        seed: of its noise.
        pixels: grey levels, uint8 (H, W), white on black as in MNIST.
        class_name: of the label; by default the label itself.
    """

    label: int
    seed: int
    pixels: NDArray[np.uint8]
    class_name: str = ""


def specs_for_labels(labels: Sequence[int], count: int, seed: int) -> list[SampleSpec]:
    """``count`` images of each label, with the seeds ``seed``, ``seed + 1``, ...

    Raises:
        SettingsError: if a seed would exceed its range.
    """
    seeds = _seeds(seed, count)
    return [SampleSpec(label, each) for label in labels for each in seeds]


def specs_in_order(labels: Sequence[int], seed: int) -> list[SampleSpec]:
    """One image of each of ``labels``, in this order, with the seeds ``seed``, ``seed + 1``, ...

    Raises:
        SettingsError: if a seed would exceed its range.
    """
    return [SampleSpec(label, each) for label, each in zip(labels, _seeds(seed, len(labels)), strict=True)]


def _seeds(first: int, count: int) -> range:
    if first + count - 1 > MAX_SEED:
        raise SettingsError(f"`seed` {first} and {count} images need a seed above {MAX_SEED}", "Use a smaller `seed`.")
    return range(first, first + count)


def batch_size_for(model: DiffusionModel) -> int:
    """Images to sample at once: ``BATCH_SIZE``, and more on CUDA, where ``sample`` halves a batch that does not fit."""
    return _CUDA_BATCH_SIZE if model.device == "cuda" else BATCH_SIZE


def sample(
    model: DiffusionModel,
    specs: Sequence[SampleSpec],
    settings: SampleSettings,
    *,
    process: SamplingProcess = FROM_NOISE,
    batch_size: int | None = None,
    on_step: Callable[[SampleStep], None] | None = None,
) -> Work[Sample, None]:
    """Sample images in batches, in the order of ``specs``. A batch too large for the memory is halved and repeated.

    Args:
        model: to sample from.
        specs: labels and seeds.
        settings: sampler, steps, guidance.
        process: what to start from, and the steps to the image.
        batch_size: images sampled at once, by default ``batch_size_for``; with torch, pixels may differ with it by one
            grey level.
        on_step: called with the state of the current batch after each step.

    Yields:
        progress in network evaluations; the last evaluation of a batch carries its images as ``results``.

    Raises:
        OutOfMemoryError: if not even one image fits.
        SettingsError: at the first step, for more steps than the model has timesteps, a label that is no class, or what
            a distilled model leaves to its teacher.
        DivergedError: if an image is not finite.
    """
    model.require_able(process.task, **dict(settings))
    dataset, schedule = model.settings.spec, model.schedule
    dataset.require_labels(spec.label for spec in specs)
    batch_size = batch_size or batch_size_for(model)
    evaluations, start, done = process.evaluations(schedule, settings), 0, 0
    while start < len(specs):
        batch = specs[start : start + batch_size]
        total = done + -(-(len(specs) - start) // batch_size) * evaluations
        predict_x_0 = guided_x_0(model, schedule, [spec.label for spec in batch], settings)
        noise = partial(sampling_noise, [spec.seed for spec in batch], shape=dataset.image_shape)
        steps = process(predict_x_0, noise, schedule, settings)
        for number in range(1, evaluations + 1):
            try:
                step = next(steps)
            except OutOfMemoryError:
                if batch_size == 1:
                    raise
                batch_size = max(1, min(batch_size, len(batch)) // 2)
                break
            if on_step is not None:
                on_step(step)
            results = _samples(batch, step, dataset.class_names) if number == evaluations else ()
            yield Progress("sampling", done + number, total, results)
        else:
            start, done = start + len(batch), done + evaluations


def _samples(batch: Sequence[SampleSpec], last: SampleStep, class_names: Sequence[str]) -> tuple[Sample, ...]:
    pixels = to_uint8(last.x_t[:, 0])
    return tuple(
        Sample(spec.label, spec.seed, image, class_names[spec.label]) for spec, image in zip(batch, pixels, strict=True)
    )


def guided_x_0(
    model: DiffusionModel, schedule: NoiseSchedule, labels: Sequence[int], settings: SampleSettings
) -> PredictX0:
    """The guided prediction of the images of a batch with these labels.

    Guidance 1 (conditional) and 0 (unconditional) evaluate the network on the batch alone; other scales evaluate the
    batch with and without labels, in one call.
    """
    prediction = PREDICTIONS[model.settings.prediction]
    cond = np.array(labels, dtype=np.int64)
    uncond = np.full_like(cond, model.settings.spec.null_label)

    def predict(x_t: FloatArray, t: int) -> FloatArray:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        guidance_scale = settings.guidance_at(t, schedule.num_train_timesteps)
        if guidance_scale in (0, 1):
            eps = prediction.eps(model.denoiser(x_t, t, cond if guidance_scale else uncond), x_t, alpha, sigma)
        else:
            x_both = np.concatenate([x_t, x_t])
            both = prediction.eps(model.denoiser(x_both, t, np.concatenate([uncond, cond])), x_both, alpha, sigma)
            eps_uncond, eps_cond = np.split(both, 2)
            eps = guided(eps_uncond, eps_cond, guidance_scale)
        return x_0_from_eps(eps, x_t, alpha, sigma).clip(-1.0, 1.0)

    return predict
