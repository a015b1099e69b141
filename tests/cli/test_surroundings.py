"""What the program meets outside: no permission, no network, no space; and whatever is typed."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnistdiff.cli import app
from mnistdiff.cli.exit_codes import ExitCode

FORBIDDEN = {
    "a folder nobody may write to": lambda folder: folder.chmod(0o555),
    "a folder nobody may enter": lambda folder: folder.chmod(0o600),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_a_folder_that_cannot_be_written_to_is_found_out_before_the_first_step(forks, tiny_toml, tmp_path, kind):
    config = shutil.copy(tiny_toml, tmp_path / "tiny.toml")
    closed = tmp_path / "closed"
    closed.mkdir()
    FORBIDDEN[kind](closed)
    line = ["train", "--config", config, "--max-steps", "1000000", "--run-dir", closed / "run"]
    code, fork = forks.run(*line, cwd=tmp_path, bound=True)
    message = fork.err.decode()
    assert code == 5, message
    assert "ermission denied" in message
    assert "Traceback" not in message
    assert "step 1/" not in message


def test_a_checkpoint_that_may_not_be_read_is_5_and_a_picture_that_may_not_be_written_too(forks, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", copy_function=shutil.copyfile)
    secret = shutil.copy(run / "diffusion_checkpoint.safetensors", tmp_path / "secret.safetensors")
    os.chmod(secret, 0)
    (tmp_path / "shut").mkdir(mode=0o555)
    run.chmod(0o555)
    for line in (
        ["inspect", secret],
        ["sample", "-d", "1", "-c", secret],
        ["grid", secret],
        ["resume", secret, "--run-dir", tmp_path / "new"],
        ["sample", "-d", "1", "-c", run, "-o", tmp_path / "shut" / "one.png"],
        ["resume", run, "--max-steps", "46"],
    ):
        code, fork = forks.run(*line, cwd=tmp_path, bound=True)
        message = fork.err.decode()
        assert code == 5, (line, message)
        assert "ermission denied" in message
        assert "Traceback" not in message


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_files_have_the_permissions_that_the_user_gives_new_ones(forks, tiny_toml, tmp_path, umask):
    line = ["train", "--config", tiny_toml, "--max-steps", "1", "--run-dir", "run"]
    code, fork = forks.run(*line, cwd=tmp_path, umask=umask)
    assert code == 0, fork.err
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files if path.name != ".lock"} == {0o666 & ~umask}


def test_training_and_drawing_open_no_connection(forks, tiny_toml, tmp_path):
    for line in (
        ["train", "--config", tiny_toml, "--max-steps", "2", "--run-dir", "run"],
        ["resume", "run", "--max-steps", "3"],
        ["sample", "-d", "7", "-o", "seven.png"],
        ["evaluate", "run", "-n", "10", "--steps", "1"],
    ):
        code, fork = forks.run(*line, cwd=tmp_path)
        assert code == 0, fork.err
        assert b"FORBIDDEN" not in fork.err


def test_a_working_folder_that_is_gone_is_no_bug(forks, tiny_run, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    # The child enters it, and then it is deleted under its feet.
    code, fork = forks.run("sample", "-c", tiny_run, "-d", "1", "-o", "x.png", cwd=gone, remove_cwd=True)
    assert code in (3, 5), fork.err
    assert b"Traceback" not in fork.err


COMMANDS = ["train", "resume", "sample", "grid", "evaluate", "inspect", "train-classifier", "", "nonsense"]
OPTIONS = [
    *("--n", "--digit", "--seed", "--steps", "--guidance", "--guidance-interval", "--sampler", "--eta", "--epochs"),
    *("--max-steps", "--batch-size", "--lr", "--timesteps", "--label-dropout", "--mode-scale", "--output", "--json"),
    *("--quiet", "--by", "--min-accuracy", "--weights", "--device", "--preset", "--config", "--force", "--help"),
]
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=12).filter(lambda text: "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)),
    st.sampled_from(
        ["", "-", "--", "nan", "inf", "1e99", "-1", "0", "7", "0-9", "true", "../..", "٣", "\x1b[2J", "a=b"]
    ),
)
NO_LIMITS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}
# Where nothing is: whatever else is said, nothing can be drawn, trained or replaced.
NOWHERE = {
    "train": ["--dry-run"],
    "resume": ["no/such.safetensors"],
    "sample": ["--checkpoint", "no/such.safetensors"],
    "grid": ["no/such.safetensors"],
    "evaluate": ["no/such.safetensors"],
    "inspect": ["no/such.safetensors"],
    "train-classifier": ["--data-dir", "no/such", "--output", "no/such/file"],
}


@pytest.mark.parametrize("trials", [300, pytest.param(5_000, marks=pytest.mark.soak)])
def test_whatever_is_typed_the_answer_is_documented(capfdbinary, tmp_path, monkeypatch, trials):
    monkeypatch.chdir(tmp_path)

    @settings(
        max_examples=trials, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(
        st.sampled_from(COMMANDS),
        st.lists(st.tuples(st.sampled_from(OPTIONS), st.one_of(st.none(), VALUES)), max_size=4),
    )
    def answer(command, options):
        words = [word for option in options for word in option if word is not None]
        try:
            code = app.run([command, *words, *NOWHERE.get(command, [])])
        except SystemExit as leaving:
            code = leaving.code
        told = capfdbinary.readouterr()
        assert code in set(ExitCode) - {ExitCode.BUG}, told.err
        assert b"Traceback" not in told.err
        assert b"\x1b" not in told.err

    answer()
    assert list(tmp_path.iterdir()) == []
