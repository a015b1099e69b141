"""Sampling in several processes: the same images in the same order as in one."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.inference.sampling import BATCH_SIZE, Sample, SampleSpec, sample
from mnistdiff.engine.progress import Work
from mnistdiff.engine.threads import usable_cores
from mnistdiff.errors import ProcessError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Processes

_ONNX_BATCH_SIZE = 32
"""Fastest in one thread. The images are the same for every batch size and every number of threads (docs, sampling)."""
_TRIAL_EVALUATIONS = 4
_WORTH_SECONDS = 8.0
"""Starting processes takes about a second. On two cores they are as fast as threads (docs, evaluation); on more, they
need not wait for the Python code of one of them, which was not measured."""


def sample_in_processes(
    model: DiffusionModel,
    specs: Sequence[SampleSpec],
    settings: SampleSettings,
    *,
    processes: Processes | None = None,
    process: SamplingProcess = FROM_NOISE,
    batch_size: int | None = None,
    on_step: Callable[[SampleStep], None] | None = None,
) -> Work[Sample, None]:
    """Sample images as ``sample`` does, in several processes, each with one thread.

    The images are the same for every number of processes, since each depends on its seed alone, and with torch on the
    number of threads and on its batch, which are kept.

    Args:
        model: to sample from.
        specs: labels and seeds.
        settings: how to sample.
        processes: None samples in this process with all its threads. ``auto`` does so, too, but with ONNX Runtime takes
            a process for each physical core, once the first evaluations show that many seconds are left.
        process: what to start from.
        batch_size: images sampled at once without ``processes``, as for ``sample``; those have small batches.
        on_step: as for ``sample``; for one process.

    Yields:
        progress as ``sample``, of all processes.

    Raises:
        SettingsError: for several processes with a GPU or ``on_step``; at the first step as ``sample``.
        OutOfMemoryError: if not even one image fits, or the system ran out of memory and killed a process.
        ProcessError: if a process ended otherwise, or none can be started.
        DivergedError: if an image is not finite.
    """
    if processes is None or (processes == "auto" and (model.backend == "torch" or on_step is not None)):
        return sample(model, specs, settings, process=process, batch_size=batch_size, on_step=on_step)
    if processes == "auto":
        return _where_it_pays(model, specs, settings, process)
    if processes > 1 and on_step is not None:
        raise SettingsError(f"`processes` {processes}: steps are recorded in one process", "Use `processes` 1.")
    if processes > 1 and model.device != "cpu":
        raise SettingsError(
            f"`processes` {processes}: several processes sample on the CPU alone, not on {model.device}",
            "Use `processes` 1, or `device` cpu.",
        )
    if model.backend == "onnx":
        batch_size = max(1, min(_ONNX_BATCH_SIZE, -(-len(specs) // processes)))
    else:
        batch_size, model = min(batch_size or BATCH_SIZE, BATCH_SIZE), _in_one_thread(model)
    number = min(processes, -(-len(specs) // batch_size))
    if number <= 1:
        return sample(model, specs, settings, process=process, batch_size=batch_size, on_step=on_step)
    from mnistdiff.engine.inference.sampling_pool import sample_in_pool

    return sample_in_pool(number, model, specs, settings, process=process, batch_size=batch_size)


def _in_one_thread(model: DiffusionModel) -> DiffusionModel:
    """The model with a network that computes in one thread, so that it rounds as the processes of a pool do."""
    from mnistdiff.engine.network.denoiser import TorchDenoiser

    denoiser = model.denoiser
    return replace(model, denoiser=denoiser.in_one_thread()) if isinstance(denoiser, TorchDenoiser) else model


def _where_it_pays(
    model: DiffusionModel, specs: Sequence[SampleSpec], settings: SampleSettings, process: SamplingProcess
) -> Work[Sample, None]:
    """Sample here, and from the next batch on in processes if the first evaluations show that it takes long."""
    size, completed, began = _ONNX_BATCH_SIZE, 0, time.monotonic()
    with closing(sample(model, specs, settings, process=process, batch_size=size)) as here:
        for progress in here:
            yield progress
            completed += len(progress.results)
            if progress.done == _TRIAL_EVALUATIONS:
                break
        else:
            return
        seconds_left = (time.monotonic() - began) * (progress.total / progress.done - 1)
        rest = specs[completed if progress.results else completed + size :]  # after the batch under way
        number = min(usable_cores(), -(-len(rest) // size))
        if number <= 1 or seconds_left < _WORTH_SECONDS:
            yield from here
            return
        from mnistdiff.engine.inference.sampling_pool import sample_in_pool

        pool = sample_in_pool(number, model, rest, settings, process=process, batch_size=size)
        with closing(pool):
            try:
                next(pool)
            except ProcessError:  # none can be started
                yield from here
                return
            while not progress.results:
                progress = next(here)
                yield progress
            for each in pool:
                yield replace(each, done=progress.done + each.done, total=progress.done + each.total)
