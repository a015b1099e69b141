"""Training on several GPUs, and the same command twice on one."""

import pytest
import torch

from mnistdiff.engine.checkpoint.file import read_checkpoint


def trained(cli, tiny_toml, folder, *options):
    toml = folder / "two.toml"
    toml.write_text(tiny_toml.read_text() + "shards = 2\n")
    done = cli(
        "train", "--config", toml, "--max-steps", 45, "--device", "cuda", "--run-dir", "run", *options, cwd=folder
    )
    assert done.returncode == 0, done.stderr.decode()
    return folder / "run"


def tensors(run):
    return {
        name: array.tobytes()
        for name, array in read_checkpoint(run / "diffusion_checkpoint.safetensors").tensors.items()
    }


def assert_same_run(run, other):
    mine, theirs = tensors(run), tensors(other)
    assert [name for name in mine if mine[name] != theirs[name]] == []


@pytest.fixture
def alone(cli, tiny_toml, tmp_path):
    (tmp_path / "alone").mkdir()
    return trained(cli, tiny_toml, tmp_path / "alone", "--processes", 1)


def test_the_same_command_gives_the_same_bits_in_another_process(cli, tiny_toml, tmp_path, alone):
    assert_same_run(trained(cli, tiny_toml, tmp_path), alone)


def test_a_run_that_is_stopped_and_resumed_has_the_bits_of_an_unbroken_one(cli, tiny_toml, tmp_path, alone):
    run = trained(cli, tiny_toml, tmp_path, "--max-steps", 20)
    done = cli("resume", run, "--max-steps", 45, "--device", "cuda")
    assert done.returncode == 0, done.stderr.decode()
    assert b"not be bit-exact" not in done.stderr
    assert_same_run(run, alone)


def test_two_gpus_give_the_bits_of_one(cli, tiny_toml, tmp_path, alone):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    assert_same_run(trained(cli, tiny_toml, tmp_path, "--processes", 2), alone)


def test_more_processes_than_gpus_are_refused_in_one_sentence(cli, tiny_toml, tmp_path):
    number = 1 << torch.cuda.device_count().bit_length()
    done = cli(
        "train", "--config", tiny_toml, "--device", "cuda", "--processes", number, "--run-dir", "run", cwd=tmp_path
    )
    assert done.returncode == 2
    assert f"--processes {number}".encode() in done.stderr
    assert not (tmp_path / "run").exists()
