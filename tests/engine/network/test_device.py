import pytest
import torch

from mnistdiff.engine.network.device import execution_fingerprint, memory_format, require_gpus, resolve_device
from mnistdiff.errors import SettingsError

AVAILABLE = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}


@pytest.mark.parametrize("name", AVAILABLE)
def test_an_unavailable_device_is_refused_with_the_available_ones(name):
    if AVAILABLE[name]:
        pytest.skip(f"this machine has {name}")
    with pytest.raises(SettingsError, match=f"`device` {name}: ") as refused:
        resolve_device(name)
    assert refused.value.hint.startswith("Available: ")
    assert "cpu" in refused.value.hint
    assert name not in refused.value.hint


def test_auto_takes_a_gpu_where_there_is_one_and_else_the_cpu():
    best = next((name for name, there in AVAILABLE.items() if there), "cpu")
    assert resolve_device("auto").type == best
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.parametrize(("there", "best"), [((True, True), "cuda"), ((False, True), "mps"), ((False, False), "cpu")])
def test_auto_prefers_cuda_to_mps_to_the_cpu(monkeypatch, there, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there[0])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there[1])
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    assert resolve_device("auto").type == best
    assert torch.backends.cudnn.deterministic == (best == "cuda")


def test_more_processes_than_gpus_are_refused_with_both_numbers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    require_gpus(2)
    with pytest.raises(SettingsError, match="`processes` 4: this machine has 2 CUDA devices"):
        require_gpus(4)


def test_the_fingerprint_of_a_gpu_names_its_model_and_no_threads(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA " + "H" * 100)
    found = execution_fingerprint(torch.device("cuda"))
    assert (found["device"], found["threads"]) == ("cuda (NVIDIA " + "H" * 67, "1")


def test_the_fingerprint_names_library_threads_device_and_layout():
    cpu = torch.device("cpu")
    assert execution_fingerprint(cpu) == {
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "device": "cpu",
        "layout": "channels_last",
    }
    assert memory_format(torch.device("cuda")) is torch.channels_last
    assert memory_format(torch.device("mps")) is torch.contiguous_format
