"""Sampling in several processes: the same images in the same order, and every way in which a process may end."""

import multiprocessing
import signal
from itertools import count, pairwise

import pytest
from denoisers import Ending, Exhausted, Fading

from mnistdiff.engine.inference import parallel, sampling_pool
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.parallel import sample_in_processes
from mnistdiff.engine.inference.sampling import sample, specs_for_labels
from mnistdiff.engine.progress import collect
from mnistdiff.errors import DivergedError, OutOfMemoryError, ProcessError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings

SETTINGS = TrainSettings(timesteps=10, patch_size=4, channels=(4,), embedding=8)
FEW = SampleSettings(steps=3)
SPECS = specs_for_labels([3, 8], 50, 7)


def model_of(denoiser, backend="onnx", **attributes):
    return DiffusionModel(denoiser, SETTINGS, backend, **attributes)


def sampled(model, specs=SPECS, **options):
    progress = []
    return collect(sample_in_processes(model, specs, FEW, **options), progress.append), progress


def described(samples):
    return [(each.label, each.seed, each.class_name, each.pixels.tobytes()) for each in samples]


@pytest.fixture(autouse=True)
def _none_is_left():
    yield
    assert multiprocessing.active_children() == []


def assert_whole(progress):
    assert all(earlier.done <= later.done for earlier, later in pairwise(progress))
    assert progress[-1].done == progress[-1].total


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_images_and_their_order_are_those_of_one_process(backend):
    """With torch in the batches of one process, the last of which is not full."""
    model = model_of(Fading(), backend)
    expected = described(collect(sample(model, SPECS, FEW)))
    for processes in (1, 2):
        found, progress = sampled(model, processes=processes)
        assert described(found) == expected
        assert_whole(progress)


def test_more_batches_than_are_under_way_at_once_keep_their_order(monkeypatch):
    """And a batch that does not fit is halved where it is sampled."""
    monkeypatch.setattr(parallel, "_ONNX_BATCH_SIZE", 5)
    model = model_of(Exhausted(fits=4))
    found, progress = sampled(model, processes=2)
    assert described(found) == described(collect(sample(model, SPECS, FEW)))
    assert_whole(progress)


def test_processes_are_taken_only_where_much_is_left(monkeypatch):
    model = model_of(Fading())
    expected = described(collect(sample(model, SPECS, FEW)))
    monkeypatch.setattr(parallel, "usable_cores", lambda: 2)
    monkeypatch.setattr(parallel, "_ONNX_BATCH_SIZE", 16)
    started = []

    def pool(number, *arguments, **options):
        started.append(number)
        if len(started) > 1:
            raise ProcessError("none")
            yield
        return (yield from in_pool(number, *arguments, **options))

    in_pool = sampling_pool.sample_in_pool
    monkeypatch.setattr(sampling_pool, "sample_in_pool", pool)
    assert described(sampled(model, processes="auto")[0]) == expected
    assert started == []
    monkeypatch.setattr(parallel, "_WORTH_SECONDS", -1.0)
    for _ in ("in processes", "where none can be started"):
        found, progress = sampled(model, processes="auto")
        assert described(found) == expected
        assert_whole(progress)
    assert started == [2, 2]
    sampled(model, SPECS[:20], processes="auto")  # one batch after the first
    assert started == [2, 2]


def test_several_processes_have_neither_a_gpu_nor_recorded_steps():
    with pytest.raises(SettingsError, match="`processes` 2"):
        sampled(model_of(Fading(), "torch", device="cuda"), processes=2)
    with pytest.raises(SettingsError, match="`processes` 2"):
        sampled(model_of(Fading()), processes=2, on_step=print)
    for processes in (None, 1, "auto"):
        steps = []
        sampled(model_of(Fading(), "torch", device="cuda"), SPECS[:2], processes=processes, on_step=steps.append)
        assert len(steps) == FEW.steps


def test_work_that_is_given_up_ends_the_processes():
    work = sample_in_processes(model_of(Fading(seconds=60)), SPECS, FEW, processes=2)
    next(work)
    assert len(multiprocessing.active_children()) == 2
    work.close()


def test_an_error_of_a_process_is_that_of_one():
    with pytest.raises(OutOfMemoryError, match="no room for") as caught:
        sampled(model_of(Exhausted()), processes=2)
    assert caught.value.hint == "Use fewer."
    with pytest.raises(DivergedError):
        sampled(model_of(Fading(scale=float("nan"))), processes=2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no POSIX signals")
@pytest.mark.parametrize(
    ("oom_kills", "number", "kind", "said"),
    [
        (count(step=0), signal.SIGKILL, ProcessError, "SIGKILL"),
        (count(), signal.SIGKILL, OutOfMemoryError, "memory ran out"),
        (count(), signal.SIGTERM, ProcessError, "SIGTERM"),
        (count(), 0, ProcessError, "exit code 3"),
    ],
    ids=["killed", "killed by the system", "ended by a signal", "ended"],
)
def test_a_process_that_ends_is_an_error_that_says_how(monkeypatch, oom_kills, number, kind, said):
    monkeypatch.setattr(sampling_pool, "_oom_kills", lambda: next(oom_kills))
    with pytest.raises(kind, match=said):
        sampled(model_of(Ending(number)), processes=2)


@pytest.mark.parametrize(
    ("text", "kills"), [("pgfree 7\noom_kill 12\nx 1\n", 12), ("x 1\n", 0), ("oom_kill many\n", 0), (None, 0)]
)
def test_the_system_says_how_many_processes_it_killed(tmp_path, text, kills):
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "vmstat").write_text(text)
    assert sampling_pool._oom_kills(tmp_path) == kills


def test_a_system_that_starts_no_processes_is_named(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuse)
    with pytest.raises(ProcessError, match="temporarily unavailable"):
        sampled(model_of(Fading()), processes=2)


def test_with_torch_the_rounding_is_that_of_one_thread():
    import torch
    from torch import nn

    from mnistdiff.engine.network.denoiser import TorchDenoiser

    seen = []

    class Observed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x, t, labels):
            seen.append(torch.get_num_threads())
            return x * self.weight

    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for processes in (1, None):
            sampled(model_of(TorchDenoiser(Observed()), "torch"), SPECS[:2], processes=processes)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert seen == [1] * 3 + [3] * 3
