"""``mnistdiff report``, through the real program."""

import json

import pytest
from warned import beside_the_warning


def test_the_newest_run_becomes_a_page(forked, run_copy, tmp_path):
    done = forked("report", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"report.html\n")
    assert beside_the_warning(done.stderr) == b"reporting on run\n"
    page = (tmp_path / "report.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    piped = forked("report", run_copy.name, "-o", "-", "-q", cwd=tmp_path)
    assert (piped.stdout, beside_the_warning(piped.stderr)) == (page, b"")
    as_json = forked("report", "-o", "sub/page.html", "--json", cwd=tmp_path)
    content = json.loads(as_json.stdout)
    assert content == content | {"path": "sub/page.html", "bytes": len(page), "run": "run"}
    again = forked("report", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, b"")
    assert b"report.html is already there" in again.stderr


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        (["nowhere"], 3, b"there is no run nowhere"),
        (["-o", "page.pdf"], 2, b"page.pdf: a page is written as .html or .htm"),
        (["--evaluation", "missing.json"], 5, b"missing.json: No such file"),
        (["-o", "-", "--json"], 2, b"stdout"),
    ],
)
def test_what_cannot_be_is_one_sentence(invoke, run_copy, line, code, expected):
    done = invoke("report", *line, "-q")
    assert (done.returncode, done.stdout) == (code, b"")
    assert expected in done.stderr
