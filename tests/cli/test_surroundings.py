"""What the program meets outside: no permission, no network, no space; and whatever is typed."""

import json
import os
import shutil
from pathlib import Path

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


def test_a_disk_that_is_full_in_the_middle_of_a_run_is_5_and_costs_no_state(forks, tiny_toml, tmp_path):
    """No file may grow past what a state takes and a bit: the metrics outgrow it, and then the states."""
    smaller = tmp_path / "smaller.toml"  # the sooner the metrics are as large
    smaller.write_text(tiny_toml.read_text().replace("[8]", "[4]").replace("embedding = 16", "embedding = 4"))
    line = ["train", "--config", smaller, "--batch-size", "8", "--save-every", "5", "--quiet", "--run-dir", "run"]
    assert forks.run(*line, "--max-steps", "40", cwd=tmp_path)[0] == 0
    latest = tmp_path / "run" / "diffusion_checkpoint.safetensors"
    size, before = latest.stat().st_size, latest.read_bytes()

    code, fork = forks.run("resume", "run", "--max-steps", "80", "--quiet", cwd=tmp_path, file_bytes=size - 100)
    assert code == 5, fork.err
    assert b"File too large" in fork.err
    assert b"Traceback" not in fork.err
    assert latest.read_bytes() == before

    more = ["--log-every", "1", "--save-every", "100", "--max-steps", "1000000", "--run-dir", "more"]
    code, fork = forks.run(*line[:-2], *more, cwd=tmp_path, file_bytes=size + 2000)
    assert code == 5, fork.err
    assert b"Traceback" not in fork.err
    code, fork = forks.run("inspect", "more", "--json", cwd=tmp_path)
    assert code == 0, fork.err
    assert json.loads(fork.out)["step"] > 0
    assert not [path for path in tmp_path.rglob("*") if "mnistdiff-tmp" in path.name]


OUTPUTS = {
    "a name too long": (lambda folder: folder / ("x" * 256 + ".png"), 5),
    "a name that is not UTF-8": (lambda folder: os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"), 0),
    "a name with a line feed": (lambda folder: folder / "two\nlines.png", 0),
    "the folder above": (lambda folder: folder / "sub" / ".." / "above.png", 0),
    "a link to nowhere": (lambda folder: _link(folder / "link.png", folder / "nowhere" / "x.png"), 0),
    "a picture that is there": (lambda folder: _file(folder / "mine.png"), 2),
    "a folder of that name": (lambda folder: _folder(folder / "folder.png"), 0),
    "a path through a file": (lambda folder: _file(folder / "file") / "one.png", 5),
    "a device": (lambda folder: Path("/dev/null/one.png"), 5),
}


def _link(path, target):
    path.symlink_to(target)
    return path


def _file(path):
    path.write_text("mine")
    return path


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize("command", ["sample", "grid"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_wherever_pictures_shall_go_nothing_is_lost(forks, tiny_run, tmp_path, command, kind):
    (tmp_path / "sub").mkdir()
    make, expected = OUTPUTS[kind]
    output = make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    draw = ["sample", "-d", "1", "-c", tiny_run] if command == "sample" else ["grid", tiny_run, "-n", "1"]
    code, fork = forks.run(*draw, "--steps", "1", "--quiet", "-o", output, cwd=tmp_path)
    if (command, kind) == ("grid", "a folder of that name"):
        expected = 2
    assert code == expected, fork.err
    assert b"Traceback" not in fork.err
    assert {path: path.read_bytes() for path in before} == before
    if code == 0:
        [result] = fork.out.decode(errors="surrogateescape").removesuffix("\n").split("\n\n")
        assert "\x1b" not in result
    else:
        assert fork.out == b""
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(before)


TERMINALS = [
    {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "20"},
    {"TERM": None, "COLUMNS": "0", "HOME": None, "XDG_CACHE_HOME": None},
    {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii", "TMPDIR": "/no/such/folder"},
]


def test_in_any_terminal_the_answer_is_the_same(cli, run_copy, tmp_path):
    """A file name beyond ASCII in the output."""
    file = run_copy.rename(tmp_path / "größe") / "diffusion_checkpoint.safetensors"
    usual = json.loads(cli("inspect", file, "--json").stdout)
    usual_path = os.fsencode(usual.pop("path"))
    for changes in TERMINALS:
        done = cli("inspect", file, "--json", env=changes)
        assert (done.returncode, done.stderr) == (0, b""), changes
        result = json.loads(done.stdout)
        # Where the locale is ASCII, Python escapes the bytes of the name.
        assert os.fsencode(result.pop("path")) == usual_path
        assert result == usual
        table = cli("inspect", file, env=changes)
        assert (table.returncode, table.stderr) == (0, b"")
        assert b"\x1b" not in table.stdout
        wrong = cli("inspect", file / "ü", env=changes)
        assert (wrong.returncode, wrong.stdout) == (3, b"")
        assert b"Traceback" not in wrong.stderr


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


@pytest.mark.parametrize("trials", [100, pytest.param(5_000, marks=pytest.mark.soak)])
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
        result = capfdbinary.readouterr()
        assert code in set(ExitCode) - {ExitCode.BUG}, result.err
        assert b"Traceback" not in result.err
        assert b"\x1b" not in result.err

    answer()
    assert list(tmp_path.iterdir()) == []
