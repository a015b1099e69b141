"""Bits a dimension: the variational bound of a model on real images."""

import math
import time
from typing import Never

import numpy as np

from mnistdiff import __version__
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.diffusion.likelihood import (
    Floats,
    decoder_term,
    denoising_term,
    prior_term,
    timestep_probabilities,
    timestep_weights,
)
from mnistdiff.engine.diffusion.predictions import diffuse, require_finite
from mnistdiff.engine.evaluation.real_images import RealSplit
from mnistdiff.engine.evaluation.report import EvaluatedModel, LikelihoodReport
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import batch_size_for, guided_x_0
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import Stream, generator, sampling_noise
from mnistdiff.sample_settings import SampleSettings

_CHUNK = 1000
"""Images whose terms are sorted by timestep together, so that the network is evaluated on many at once."""
_CONDITIONAL = SampleSettings(guidance=1)


def measure_likelihood(
    model: DiffusionModel,
    real: RealSplit,
    *,
    n: int,
    evaluations: int,
    seed: int,
) -> Work[Never, LikelihoodReport]:
    """Measure the variational bound of a model on images, conditional on their labels.

    The noise and the timesteps of an image are those of its own seed: its bound depends neither on the other images
    nor on the batch size, but for the rounding of floats.

    Args:
        model: no distilled one, whose steps have no bound.
        real: images, in any order.
        n: of the images, the first in stratified order; all if there are fewer.
        evaluations: most network evaluations of an image, at least 2: one for L_0, the others for the sum over t.
            As many as the model has timesteps, or more, evaluate every term.
        seed: of the first image.

    Yields:
        progress in images.

    Raises:
        NeedsTeacherError: for a distilled model.
        DivergedError: if a prediction is not finite.
    """
    model.require_able("`bits_per_dim`")
    began = time.monotonic()
    chosen = real.images[stratified_order(real.images.labels)[:n]]
    found: list[Floats] = []
    for start in range(0, len(chosen), _CHUNK):
        chunk = chosen[slice(start, start + _CHUNK)]
        seeds = [seed + start + number for number in range(len(chunk))]
        found.append((yield from _terms(model, chunk, seeds, evaluations, done=start, total=len(chosen))))
    terms = np.concatenate(found) / (math.log(2) * chosen.images[0].size)  # (N, 3)
    bounds = terms.sum(axis=1)
    means = dict(zip(("prior", "denoising", "decoder"), terms.mean(axis=0).tolist(), strict=True))
    return LikelihoodReport(
        model=EvaluatedModel.model_validate(model.info, from_attributes=True),
        weights=model.weights,
        dataset=model.settings.dataset,
        split=real.name,
        num_images=len(chosen),
        evaluations=evaluations,
        timesteps=model.settings.timesteps,
        seed=seed,
        bits_per_dim=math.fsum(means.values()),
        standard_error=float(bounds.std(ddof=1) / math.sqrt(len(bounds))) if len(bounds) > 1 else None,
        terms=means,
        seconds=round(time.monotonic() - began, 3),
        versions={"mnistdiff": __version__, "numpy": np.__version__},
        notices=(*model.info.notices, *filter(None, [real.notice])),
    )


def _terms(
    model: DiffusionModel, images: LabelledImages, seeds: list[int], evaluations: int, *, done: int, total: int
) -> Work[Never, Floats]:
    """L_T, the sum of L_(t-1), and L_0 of each image, in nats, shape (N, 3); ``done`` of ``total`` images are done."""
    schedule = model.schedule
    x_0 = to_model_range(images.images)  # (N, 1, H, W)
    offsets = np.array([generator(seed, Stream.BOUND_TIMESTEPS).random() for seed in seeds])
    weights = timestep_weights(timestep_probabilities(schedule), evaluations - 1, offsets)  # (N, T - 1)
    weights = np.concatenate([np.ones((len(x_0), 1)), weights], axis=1)  # L_0 is always evaluated
    terms = np.zeros((len(x_0), 3))
    terms[:, 0] = prior_term(x_0, schedule)
    at_once, evaluated, planned = batch_size_for(model), 0, int(np.count_nonzero(weights))
    for t in range(schedule.num_train_timesteps):
        members = np.flatnonzero(weights[:, t])
        for start in range(0, len(members), at_once):
            batch = members[start : start + at_once]
            clean = x_0[batch]
            eps = sampling_noise([seeds[k] for k in batch], t, clean.shape[1:])
            x_t = diffuse(clean, eps, schedule.alpha(t), schedule.sigma(t)).astype(np.float32)
            predict = guided_x_0(model, schedule, images.labels[batch].tolist(), _CONDITIONAL)
            x_0_pred = predict(x_t, t)
            if t == 0:
                terms[batch, 2] = decoder_term(clean, x_0_pred, schedule)
            else:
                terms[batch, 1] += weights[batch, t] * denoising_term(clean, x_0_pred, schedule, t)
            evaluated += len(batch)
            yield Progress("evaluating the bound", done + len(x_0) * evaluated // planned, total)
    require_finite(terms)
    return terms
