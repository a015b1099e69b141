"""The program between others, in a real shell."""

from documents import shell_lines

[EDITING] = [line for line in shell_lines() if line.count("mnistdiff") == 3]


def test_an_image_is_generated_edited_and_classified_in_one_line(shell, tmp_path):
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
