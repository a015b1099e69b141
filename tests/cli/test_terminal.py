"""What a person sees: the program in a pseudo-terminal."""

import re
import shutil

import pytest

from mnistdiff.cli.progress import sparkline

pexpect = pytest.importorskip("pexpect")
# Of forks in a process with threads, as pexpect makes them, Python warns from 3.12 on.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

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
            env=environment(COLUMNS=None),
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


def test_drawing_shows_a_bar_and_the_paths_above_it(spawn, tiny_run, tmp_path):
    code, seen = to_the_end(spawn("sample", "-c", tiny_run, "-d", 1, "-n", 70, "--seed", 0))
    assert code == 0
    bars = [ESCAPES.sub("", text) for text in re.split(r"[\r\n]+", seen) if "━" in text]
    assert bars
    assert max(map(len, bars)) <= 80
    assert seen.count("\x1b[?25h") >= seen.count("\x1b[?25l") > 0  # the cursor is back
    names = [f"inference_samples/digit_1_{seed}.png" for seed in range(70)]
    assert [text for text in ESCAPES.sub("", seen).splitlines() if text in names] == names
    assert all((tmp_path / name).exists() for name in names)


def test_a_training_shows_the_curve_of_its_loss_and_the_digits_after_each_epoch(spawn, tiny_toml):
    line = ["train", "--config", tiny_toml, "--max-steps", 90, "--log-every", 5, "--run-dir", "run"]
    code, seen = to_the_end(spawn(*line))
    assert code == 0
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
def test_a_picture_is_not_sent_to_a_terminal(spawn, tiny_run, command):
    code, seen = to_the_end(spawn(command, "-o", "-"))
    assert code == 2
    assert "not for the terminal" in seen
    assert "PNG\r\n\x1a" not in seen


def test_inspecting_shows_a_table(spawn, tiny_run):
    code, seen = to_the_end(spawn("inspect", tiny_run))
    assert code == 0
    assert "45 of 45" in ESCAPES.sub("", seen)
    assert "│" in seen


def test_without_arguments_digits_are_asked_for_and_drawn(spawn, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    child = spawn()
    child.expect("digits, t or q")
    child.sendline("seven, please")
    child.expect("Type digits, such as 7")
    child.expect("digits, t or q")

    child.sendline("7")
    child.expect(r"inference_samples/digit_7_[0-9]+\.png")
    rows = [ESCAPES.sub("", row) for row in child.before.splitlines()]
    drawn = [row for row in rows if set(row) & set(HALF_BLOCKS)]
    assert len(drawn) == 14
    assert (tmp_path / child.after).read_bytes().startswith(b"\x89PNG")
    child.expect("digits, t or q")

    child.sendline("2026")
    names = [child.expect(rf"inference_samples/digit_{digit}_[0-9]+\.png") or child.after for digit in "2026"]
    assert len({(tmp_path / name).read_bytes() for name in names}) == 4
    child.expect("digits, t or q")

    child.sendline("q")
    code, _ = to_the_end(child)
    assert code == 0
    assert len(list((tmp_path / "inference_samples").iterdir())) == 5


def test_without_a_run_the_interactive_mode_draws_from_the_model_in_the_box(spawn, tmp_path):
    child = spawn(columns=40)
    child.expect("digits, t or q")
    child.sendline("7")
    child.expect(r"inference_samples/digit_7_[0-9]+\.png")
    assert (tmp_path / child.after).read_bytes().startswith(b"\x89PNG")
    child.expect("digits, t or q")
    child.sendeof()
    code, _ = to_the_end(child)
    assert code == 0
