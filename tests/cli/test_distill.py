"""``distill`` as a user runs it: a run as any other, whose model samples in few evaluations."""

import json
import random
import signal
import time

import numpy as np
import pytest
from forks import same_content

from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.runs.run_dir import RunDir

LATEST = "diffusion_checkpoint.safetensors"
LINE = ["--steps", "2", "--teacher-steps", "4", "--batch-size", "16", "--save-every", "2", "--sample-every", "0"]
OF_THE_WHOLE = [*LINE, "--shards", "4", "--max-steps", "8", "--log-every", "1"]


@pytest.fixture(scope="module")
def distill(tiny_run):
    return ["distill", tiny_run, "--quiet"]


@pytest.fixture(scope="module")
def whole(forks, distill, tmp_path_factory):
    """An unbroken run of one process."""
    folder = tmp_path_factory.mktemp("distilled")
    code, fork = forks.run(*distill, *OF_THE_WHOLE, "--run-dir", "run", cwd=folder)
    assert code == 0, fork.err
    return folder / "run"


def test_the_student_begins_as_its_teacher_and_keeps_it_unchanged(whole, tiny_run):
    state, teacher = read_checkpoint(whole / LATEST), read_checkpoint(RunDir(tiny_run).best())
    record = state.metadata.settings.distillation
    assert (record.teacher, record.steps, record.sampling.steps) == (teacher.sha256, 2, 4)
    for name, weights in teacher.weights("ema").items():
        assert np.array_equal(state.tensors[f"objective.teacher.{name}"], weights)
        assert state.tensors[f"model.{name}"].shape == weights.shape
    assert any(
        not np.array_equal(state.weights("ema")[name], weights) for name, weights in teacher.weights("ema").items()
    )
    final = read_checkpoint(whole / "conditional_diffusion_mnist.safetensors")
    assert {name.partition(".")[0] for name in final.tensors} == {"ema"}
    assert final.metadata.settings.distillation == record


def test_two_processes_write_the_same_files(forks, distill, whole, tmp_path):
    group = forks.group(2, *distill, *OF_THE_WHOLE, "--run-dir", "run", cwd=tmp_path)
    assert [process.wait() for process in group] == [0, 0], group[0].err
    assert same_content(tmp_path / "run") == same_content(whole)


@pytest.mark.parametrize("trials", [2, pytest.param(50, marks=pytest.mark.soak)])
def test_a_run_killed_at_random_moments_ends_in_the_bits_of_an_unbroken_run(forks, distill, whole, tmp_path, trials):
    chance = random.Random(trials)
    for trial in range(trials):
        run = tmp_path / f"killed_{trial}"

        def line(run=run):
            begun = (run / LATEST).exists()
            return ["resume", run, "--quiet"] if begun else [*distill, *OF_THE_WHOLE, "--run-dir", run, "--force"]

        for _ in range(2):
            fork = forks.start(*line(), cwd=tmp_path)
            time.sleep(chance.uniform(0, 1))
            fork.send(signal.SIGKILL)
            assert fork.wait() in (-signal.SIGKILL, 0), fork.err
        code, fork = forks.run(*line(), cwd=tmp_path)
        assert code == 0, fork.err
        assert same_content(run) == same_content(whole)


def test_it_samples_by_its_own_steps(cli, whole, tmp_path):
    line = ("sample", "-d", "7", "-c", whole, "-o", "seven.png", "--json", "--seed", 1)
    assert cli(*line, cwd=tmp_path).returncode == 0
    done = cli("reproduce", "seven.png", "-c", whole, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["identical"]


def test_a_time_budget_counts_each_path_once(forks, distill, tmp_path):
    line = [*distill, *LINE, "--max-minutes", "0.03", "--run-dir", "run", "--json"]
    code, fork = forks.run(*line, cwd=tmp_path)
    assert code == 0, fork.err
    assert json.loads(fork.out)["complete"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--steps", "3", "--teacher-steps", "10"], ["3", "10"]),
        (["--steps", "0"], ["--steps", "0"]),
        (["--sampler", "ddpm"], ["ddpm"]),
        (["--teacher-steps", "12"], ["12"]),  # of a model of ten timesteps
        (["--guidance", "-1"], ["--guidance", "-1"]),
        (["nowhere"], ["nowhere"]),
    ],
)
def test_what_cannot_be_distilled_is_refused_at_once(cli, tiny_run, tmp_path, options, named):
    source = [] if options == ["nowhere"] else [tiny_run]
    done = cli("distill", *source, *options, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode in (2, 3)
    message = done.stderr.decode()
    assert all(each in message for each in named), message
    assert not (tmp_path / "run").exists()
