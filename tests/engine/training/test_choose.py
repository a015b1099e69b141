"""What the program chooses at the start of a run, with made-up cores and timings; and what the choices compute."""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnistdiff.engine.network import unet
from mnistdiff.engine.training import choose, execution
from mnistdiff.engine.training.choose import is_short, processes_to_start, with_precision, with_shards
from mnistdiff.engine.training.execution import prepared, with_available_compiler
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.presets import resolve
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
LONG = TrainSettings(shards="auto", precision="auto", compile="auto")
SHORT = LONG.model_copy(update={"max_steps": 2})


def machine(**changes):
    return MachineSettings(device="cpu", **changes)


@pytest.mark.parametrize("preset", ["base", "fast", "tiny"])
def test_the_presets_are_long_and_a_few_steps_are_short(preset):
    settings = resolve([("here", {"preset": preset})]).train
    assert not is_short(settings, machine())
    assert is_short(settings.model_copy(update={"max_steps": 3}), machine())
    total = settings.total_steps(60_000)
    assert is_short(settings, machine(), steps_done=total - 3)


@pytest.mark.parametrize(("minutes", "short"), [(0.5, True), (2, False)])
def test_a_time_budget_says_itself_whether_it_is_short(minutes, short):
    assert is_short(LONG, machine(max_minutes=minutes)) == short
    assert is_short(SHORT, machine(max_minutes=minutes)) == short


@pytest.mark.parametrize(
    ("settings", "asked", "cores", "processes"),
    [
        (LONG, "auto", 1, 1),
        (LONG, "auto", 2, 2),
        (LONG, "auto", 3, 2),
        (LONG, "auto", 64, 4),
        (LONG.model_copy(update={"shards": 8}), "auto", 64, 8),
        (LONG.model_copy(update={"shards": 1}), "auto", 64, 1),
        (LONG.model_copy(update={"batch_size": 6}), "auto", 64, 2),
        (LONG.model_copy(update={"batch_size": 7}), "auto", 64, 1),
        (SHORT, "auto", 64, 1),
        (SHORT, 2, 1, 2),
        (LONG, 8, 1, 8),
        (LONG, 16, 1, 16),
    ],
)
def test_processes(settings, asked, cores, processes, monkeypatch):
    monkeypatch.setattr(choose, "usable_cores", lambda: cores)
    assert processes_to_start(settings, machine(processes=asked)) == processes


@pytest.mark.parametrize(
    ("changes", "asked", "shards"),
    [({}, 3, 4), ({"shards": 4}, 8, 4), ({"shards": 1}, 2, 1), ({"batch_size": 6}, 4, 2), ({}, 32, 16)],
)
def test_processes_that_do_not_divide_the_shards_are_refused(changes, asked, shards):
    settings = LONG.model_copy(update=changes)
    with pytest.raises(SettingsError, match=rf"`processes` {asked} .* {shards} shards"):
        processes_to_start(settings, machine(processes=asked))


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    for name in ("deterministic", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_on_gpus_one_process_is_started_and_at_most_one_for_each_of_them(two_gpus):
    assert processes_to_start(LONG, MachineSettings()) == 1
    assert processes_to_start(LONG, MachineSettings(processes=2)) == 2
    assert processes_to_start(LONG, MachineSettings(processes=4, device="cpu")) == 4
    with pytest.raises(SettingsError, match="`processes` 4: this machine has 2 CUDA devices"):
        processes_to_start(LONG, MachineSettings(processes=4))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity of processes")
def test_a_process_that_may_use_one_core_starts_no_other(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert processes_to_start(LONG, machine()) == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("given", "asked", "processes", "shards"),
    [
        ("auto", "auto", 1, 1),
        ("auto", 1, 1, 4),
        ("auto", "auto", 2, 4),
        ("auto", 8, 8, 8),
        (2, "auto", 1, 2),
        (16, 4, 4, 16),
    ],
)
def test_shards(given, asked, processes, shards):
    settings = LONG.model_copy(update={"shards": given})
    assert with_shards(settings, machine(processes=asked), CPU, processes=processes).shards == shards


@pytest.fixture
def timings(monkeypatch):
    """Let a pass in fp32 take a second for each image, and one in bf16 so many times that; record the sizes."""

    def set_factor(factor):
        sizes = []

        def one_pass(settings, device):
            return {"fp32": 1.0, "bf16": factor}[settings.precision]

        def seconds(one_pass, size):
            sizes.append(size)
            return one_pass * size

        monkeypatch.setattr(choose, "_one_pass", one_pass)
        monkeypatch.setattr(choose, "_seconds", seconds)
        monkeypatch.setattr(choose, "_TRIAL_SECONDS", 0.0)
        return sizes

    return set_factor


@pytest.mark.parametrize(("factor", "precision"), [(0.5, "bf16"), (0.9, "bf16"), (0.99, "fp32"), (2.5, "fp32")])
def test_the_precision_that_is_faster_is_chosen(timings, factor, precision):
    sizes = timings(factor)
    found = with_precision(LONG, machine(), CPU)
    assert (found.settings.precision, found.settings.compile) == (precision, "off")
    assert f"{1 / factor:.2f}" in found.reason
    assert max(sizes) > 2


def test_an_emulated_precision_is_left_out_after_two_images(timings):
    sizes = timings(83.0)
    assert with_precision(LONG, machine(), CPU).settings.precision == "fp32"
    assert max(sizes) == 2
    assert sum(sizes) <= 8


@pytest.mark.parametrize(
    ("settings", "precision"),
    [(SHORT, "fp32"), *((LONG.model_copy(update={"precision": p}), p) for p in ("fp32", "bf16"))],
)
def test_without_a_choice_there_is_no_trial(timings, settings, precision):
    sizes = timings(0.5)
    found = with_precision(settings, machine(), CPU)
    assert (found.settings.precision, found.reason, sizes) == (precision, "", [])


def test_a_real_trial_leaves_the_random_numbers_alone_and_says_what_it_measured(monkeypatch):
    monkeypatch.setattr(choose, "_TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(choose, "is_short", lambda *_, **__: False)
    settings = TrainSettings(patch_size=4, channels=(4,), embedding=8, batch_size=8, precision="auto")
    before = torch.get_rng_state()
    found = with_precision(settings, machine(), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.settings.precision in ("fp32", "bf16")
    assert "times as fast" in found.reason


def test_without_a_compiler_it_is_refused_for_a_new_run_and_left_out_for_an_old_one(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    compiled = LONG.model_copy(update={"compile": "on"})
    with pytest.raises(SettingsError, match="`compile` on"):
        with_precision(compiled, machine(), CPU)
    assert with_precision(SHORT, machine(), CPU).settings.compile == "off"
    settings, notice = with_available_compiler(compiled, CPU)
    assert (settings.compile, "bit-exact" in notice) == ("off", True)


def test_with_a_compiler_a_run_is_resumed_as_it_was(monkeypatch):
    monkeypatch.setattr(execution, "is_compiler_available", lambda device: True)
    compiled = LONG.model_copy(update={"compile": "on"})
    assert with_available_compiler(compiled, CPU) == (compiled, "")


def test_in_bf16_convolutions_are_bf16_and_normalisation_attention_and_gradients_are_float32(monkeypatch):
    settings = TrainSettings(patch_size=2, channels=(4, 8), embedding=8, precision="bf16")
    model = TrainState.initial(settings, CPU).model
    seen = {}

    def record(module, inputs, output):
        seen.setdefault(type(module).__name__, set()).add(output.dtype)

    def attention(*tensors):
        seen["attention"] = {tensor.dtype for tensor in tensors}
        return real(*tensors)

    real = F.scaled_dot_product_attention
    monkeypatch.setattr(unet.F, "scaled_dot_product_attention", attention)
    for module in model.modules():
        if isinstance(module, nn.GroupNorm | nn.Conv2d | nn.Linear):
            module.register_forward_hook(record)
    number = torch.zeros(2, dtype=torch.int64)
    predicted = prepared(model, settings)(torch.rand(2, 1, 28, 28), number, number)
    predicted.square().mean().backward()
    assert seen == {
        "Conv2d": {torch.bfloat16},
        "Linear": {torch.bfloat16},
        "GroupNorm": {torch.float32},
        "attention": {torch.float32},
    }
    assert predicted.dtype == torch.float32
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


def test_in_fp32_nothing_is_between_the_network_and_the_loss():
    model = TrainState.initial(TrainSettings(patch_size=4, channels=(4,)), CPU).model
    assert prepared(model, TrainSettings()) is model
