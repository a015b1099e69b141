"""The program between others, in a real shell: the pipelines of the README, as they stand there."""

import re
import shutil
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCK = re.search(r"In a pipeline:\n\n```sh\n(.*?)```", README, re.DOTALL)[1]
EDITING = re.search(r"^(mnistdiff sample [^\n]*\| mnistdiff edit - [^\n]*)$", README, re.MULTILINE)[1]
# What comes out, by a word of the line.
FOUND = {
    "file -": r"/dev/stdin: PNG image data, 28 x 28, 8-bit grayscale, non-interlaced\n",
    "jq -r .path": r"(inference_samples/digit_[0-9]_\d+\.png\n){3}",
    "xargs": r"sheet\.png\n",
    "jq '.step": r"\d+\n[\d.]+\ntrue\n",
    "ls fake": r"fake\n"
    + "".join(rf"{part}-{kind}-ubyte\n" for part in ("t10k", "train") for kind in ("images-idx3", "labels-idx1")),
}


@pytest.mark.parametrize("line", BLOCK.splitlines(), ids=lambda line: line[:40])
def test_the_pipelines_of_the_readme_do_what_it_says(shell, tmp_path, line):
    [(word, expected)] = [(word, pattern) for word, pattern in FOUND.items() if word in line]
    tool = word.split()[0]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = shell(line.replace("--n 7000", "--n 70"), tmp_path)
    if "head -3" in line:  # ten times two are drawn, and head leaves after three
        assert done.returncode in (0, 141)
    else:
        assert done.returncode == 0, done.stderr.decode()
    assert re.fullmatch(expected, done.stdout.decode()), done.stdout.decode()
    assert b"Traceback" not in done.stderr


def test_a_digit_is_drawn_edited_and_read_in_one_line(shell, tmp_path):
    done = shell(EDITING, tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    name, digit, probability = done.stdout.decode().split("\t")
    assert name == "stdin"
    assert digit in "0123456789"
    assert probability.endswith("%\n")


def test_names_with_spaces_and_dashes_go_through_xargs(shell, tmp_path):
    done = shell(
        "mnistdiff sample -d 1,2 --seed 3 --steps 1 -o './-odd name/' -q"
        " | xargs -d '\\n' mnistdiff grid -o sheet.png -q --",
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"sheet.png\n", b"")


def test_a_failure_in_front_of_a_pipe_is_seen_behind_it(shell, tmp_path):
    done = shell("mnistdiff sample -d 12 -o - | mnistdiff classify -", tmp_path)
    assert done.returncode in (2, 5)
    assert done.stdout == b""
    assert b"stdin is empty" in done.stderr
