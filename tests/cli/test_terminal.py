"""What a person sees: the program in a pseudo-terminal."""

import os
import pty
import re
import termios

import pytest

from mnistdiff.cli.progress import sparkline

pexpect = pytest.importorskip("pexpect")
fdpexpect = pytest.importorskip("pexpect.fdpexpect")
# Of forks in a process with threads, as pexpect makes them, Python warns from 3.12 on.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

ASKING = r"\x1b\[\?2004h"  # once for each line that is asked for: what is pasted shall be marked as such
HALF_BLOCKS = "▀▄"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def spawn(program, environment, tmp_path):
    children = []

    def run(*arguments, columns=80):
        child = pexpect.spawn(
            program[0],
            [*program[1:], *map(str, arguments)],
            cwd=tmp_path,
            # A real terminal answers where its cursor is; this one does not.
            env=environment(COLUMNS=None, XDG_CACHE_HOME=str(tmp_path / "cache"), PROMPT_TOOLKIT_NO_CPR="1"),
            dimensions=(24, columns),
            timeout=60,
            encoding="utf-8",
        )
        children.append(child)
        return child

    yield run
    for child in children:
        child.close(force=True)


def to_the_end(child):
    child.expect(pexpect.EOF)
    seen = child.before
    child.close()
    assert "Traceback" not in seen
    return child.exitstatus, seen


def test_sampling_shows_a_bar_and_the_paths_above_it(spawn, tmp_path):
    code, seen = to_the_end(spawn("sample", "-d", 1, "-n", 70, "--seed", 0, "--steps", 2))
    assert code == 0
    bars = [ESCAPES.sub("", text) for text in re.split(r"[\r\n]+", seen) if "━" in text]
    assert bars
    assert max(map(len, bars)) <= 80
    assert seen.count("\x1b[?25h") >= seen.count("\x1b[?25l") > 0  # the cursor is back
    names = [f"inference_samples/digit_1_{seed}.png" for seed in range(70)]
    assert [text for text in ESCAPES.sub("", seen).splitlines() if text in names] == names
    assert all((tmp_path / name).exists() for name in names)


def test_a_training_shows_the_curve_of_its_loss_and_the_digits_after_each_epoch(forks, tiny_toml, tmp_path):
    line = ["train", "--config", tiny_toml, "--max-steps", 90, "--log-every", 5, "--run-dir", "run"]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    fork = forks.start(*line, cwd=tmp_path, env={"COLUMNS": None}, streams=terminal)
    os.close(theirs)
    _, seen = to_the_end(fdpexpect.fdspawn(ours, encoding="utf-8", timeout=60))
    assert fork.wait() == 0
    bars = [ESCAPES.sub("", text) for text in re.split(r"[\r\n]+", seen) if "━" in text]
    assert max(map(len, bars)) <= 80
    assert any(re.search("[▁▂▃▄▅▆▇█]{5,12}  loss", bar) for bar in bars)
    # Two epochs, ten digits each of 14 by 14 pixels, five side by side: two rows of seven lines of half blocks.
    drawn = [text for text in ESCAPES.sub("", seen).splitlines() if text.count("▄") + text.count("▀") >= 5 * 14]
    assert len(drawn) == 2 * 2 * 7


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], ""), ([3.0], "▁"), ([1, 1], "▁▁"), ([0, 1], "▁█"), ([8, 4, 0], "█▅▁"), ([5.0, 5.5, 6.0, 7.0], "▁▃▅█")],
)
def test_a_sparkline_goes_from_the_least_to_the_greatest(values, expected):
    assert sparkline(values) == expected


@pytest.mark.parametrize("command", ["sample", "grid"])
def test_an_image_is_not_sent_to_a_terminal(spawn, command):
    code, seen = to_the_end(spawn(command, "-o", "-"))
    assert code == 2
    assert "not for the terminal" in seen
    assert "PNG\r\n\x1a" not in seen


def test_inspecting_shows_a_table(spawn, tiny_run):
    code, seen = to_the_end(spawn("inspect", tiny_run))
    assert code == 0
    assert "45 of 45" in ESCAPES.sub("", seen)
    assert "│" in seen


def ask(child, line):
    """Type a line once the program asks for one, and return what was said to the line before."""
    child.expect(ASKING)
    said = ESCAPES.sub("", child.before)
    child.sendline(line)
    return said


def image_rows(said):
    return [row for row in said.splitlines() if set(row) & set(HALF_BLOCKS)]


def test_without_arguments_digits_are_asked_for_sampled_and_kept(spawn, tmp_path):
    child = spawn()
    lines = [
        "seven, please",
        "save",
        "7",
        "again",
        "g 3",
        "s 42",
        "2026",
        "save",
        "save",
        "save year.png",
        "g -1",
        "s x",
    ]
    said = dict(zip(["hello", *lines], [ask(child, line) for line in [*lines, "q"]], strict=True))
    code, _ = to_the_end(child)
    assert code == 0
    assert "again        " in said["hello"]
    assert "again        " in said["seven, please"]
    assert len(image_rows(said["7"])) == len(image_rows(said["again"])) == 14
    seeds = [re.search(r"seed ([0-9]+), guidance [0-9.]+, steps [0-9]+", said[line])[1] for line in ("7", "again")]
    assert seeds[0] != seeds[1]
    assert "guidance 3" in said["g 3"]
    assert "seed 42, guidance 3, steps " in said["2026"]
    assert len(image_rows(said["2026"])) == 2 * 14  # two fit side by side into 80 columns
    assert "-1" in said["g -1"]
    assert "'x'" in said["s x"]
    saved = tmp_path / "inference_samples" / "digits_2026_42.png"
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert (tmp_path / "year.png").read_bytes() == saved.read_bytes()


def test_what_was_saved_is_what_sample_gives_and_what_was_there_is_not_replaced(spawn, invoke, tmp_path):
    """From the bundled model, in a narrow terminal; the history is kept for the next session."""
    child = spawn(columns=40)
    for line in ("s 5", "83", "save a.png", "save a.png"):
        ask(child, line)
    assert "a.png is already there" in ask(child, "")
    child.expect(ASKING)
    child.sendcontrol("c")
    child.expect(ASKING)
    child.sendeof()
    code, _ = to_the_end(child)
    assert code == 0
    invoke("sample", "--digits", 83, "--seed", 5, "-o", "b.png", "-q")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    again = spawn()
    again.expect(ASKING)
    again.send("\x1b[A")  # up
    again.expect("save a.png")
    again.close(force=True)
