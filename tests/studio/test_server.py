"""The server of the studio: what it answers, and that it draws what ``sample`` and ``interpolate`` draw."""

import base64
import io
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import mnistdiff
from mnistdiff.cli import app
from mnistdiff.studio import server
from mnistdiff.studio.safety import Access

HOW = {"steps": 4, "sampler": "ddim", "guidance": 2.0, "guidance_interval": [0.0, 0.5], "eta": 0.5}
SECURED = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def pixels(data):
    return np.frombuffer(base64.b64decode(data["images"]), np.uint8).reshape(-1, 28, 28)


def test_it_draws_step_by_step_what_sample_draws(studio, cli, tmp_path):
    assert studio.get("/api/ping").json == {"ok": True}
    model = studio.get("/api/model").json
    assert (model["name"], model["other"]["name"]) == ("bundled-2", "bundled-teacher")
    _queued, *steps, done = studio.stream("/api/draw", {"text": "7", "n": 4, "seed": 5})
    assert [step.data["number"] for step in steps] == [0, 1, 2]
    assert done.name == "done"
    assert steps[-1].data["x_t"] == done.data["images"]
    file = tmp_path / "drawn.npz"
    said = cli("sample", "--digit", 7, "-n", 4, "--seed", 5, "--checkpoint", "bundled", "--format", "npz", "-o", file)
    assert said.returncode == 0, said.stderr
    assert np.array_equal(np.load(file)["images"], pixels(done.data))


@pytest.mark.parametrize("how", [{}, HOW], ids=["as it is", "with settings"])
def test_the_png_of_an_image_is_that_of_the_command_beside_it(studio, forked, tmp_path, how):
    *_, done = studio.stream("/api/draw", {"labels": [3, "7"], "n": 2, "seed": 5, **how})
    assert (done.data["labels"], done.data["seeds"]) == ([3, 3, 7, 7], [5, 6, 5, 6])
    body = {"label": 7, "seed": 6, "settings": {name: done.data["settings"][name] for name in HOW}}
    image = studio.post("/api/image.png", body)
    assert image.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.body))), pixels(done.data)[3])
    beside = studio.post("/api/provenance", body).json
    assert beside["provenance"]["settings"] == done.data["settings"]
    said = forked(*shlex.split(beside["command"])[1:], cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "digit_7_6.png").read_bytes() == image.body


def test_a_word_is_drawn_row_by_row_and_its_command_draws_it(studio, forked, tmp_path):
    *_, done = studio.stream("/api/draw", {"text": "2026", "n": 2, "seed": 1})
    assert done.data["classes"] == ["2", "0", "2", "6"] * 2
    assert done.data["seeds"] == [*range(1, 9)]
    said = forked(*shlex.split(done.data["command"])[1:], "--format", "npz", "-o", "word.npz", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert np.array_equal(np.load(tmp_path / "word.npz")["images"], pixels(done.data))


def test_one_image_becomes_another_as_interpolate_has_it(studio, forked, tmp_path):
    body = {"start": 3, "end": "8", "seed": 1, "end_seed": 2, "frames": 3, "settings": {"steps": 3}}
    *progress, done = studio.stream("/api/morph", body)
    assert [event.data["done"] for event in progress[1:]] == [1, 2, 3]
    morph = mnistdiff.load("bundled").interpolate(3, 8, seed=1, end_seed=2, frames=3, steps=3)
    assert np.array_equal(pixels(done.data), morph)
    said = forked(*shlex.split(done.data["command"])[1:], cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "morph.gif").read_bytes() == morph.encode("gif")


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/ping", "/no", "/api/draw", "/?token=x"])
def test_every_answer_is_secured(studio, path):
    for cookie in (studio.cookie, "none=x"):
        answer = studio.get(path, cookie=cookie)
        assert SECURED.items() <= answer.headers.items()
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert answer.status == (403 if cookie != studio.cookie else {"/no": 404, "/api/draw": 405}.get(path, 200))


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have(studio):
    answer = studio.get(studio.url.removeprefix(studio.origin), cookie="none=x")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    words = {word.strip().lower() for word in answer.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= words
    assert f"{studio.port}=" in answer.headers["set-cookie"]  # browsers give a cookie to all ports


@pytest.mark.parametrize(
    ("host", "serves", "serves_not"),
    [
        ("127.0.0.1", ["127.0.0.1:9", "localhost:9", "LOCALHOST:9", "[::1]:9"], ["10.0.0.1:9", "a.example:9"]),
        ("::1", ["[::1]:9", "localhost:9"], ["::1:9", "[::2]:9", "[::1]"]),
        ("0.0.0.0", ["127.0.0.1:9", "10.0.0.1:9", "[fe80::1]:9"], ["a.example:9", "10.0.0.1", "10.0.0.1:91"]),
        ("10.0.0.1", ["10.0.0.1:9"], ["127.0.0.1:9", "localhost:9", "10.0.0.2:9", "10.0.0.1:9:9"]),
        ("localhost", ["localhost:9", "127.0.0.1:9"], ["a.example:9", "10.0.0.1:9"]),
    ],
)
def test_the_hosts_that_are_served(host, serves, serves_not):
    access = Access(host, 9)
    assert [each for each in serves if not access.serves(each)] == []
    assert [each for each in serves_not if access.serves(each)] == []
    assert access.is_local == (host in ("127.0.0.1", "::1", "localhost"))
    assert access.serves(access.url.split("/")[2])


def test_browsers_leave_out_the_port_of_http():
    assert Access("127.0.0.1", 80).serves("127.0.0.1")
    assert Access("::1", 80).serves("[::1]")


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_another_address_than_that_of_this_machine_is_warned_of(monkeypatch, capfd, host, warns):
    monkeypatch.setattr(server, "serve", lambda *_, host, port, ready: ready(Access(host, 8000)))
    assert app.run(["studio", "--no-open", "--checkpoint", "bundled", "--host", host]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("http://127.0.0.1:8000/?token=")
    assert len(out.splitlines()) == 1
    assert ("warning" in err) == warns


def test_the_browser_is_opened_with_the_address_and_what_it_prints_is_dropped(program, environment, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho rubbish; echo rubbish >&2; echo "$1" > {tmp_path}/opened.new\n'
                       f"mv {tmp_path}/opened.new {tmp_path}/opened\nsleep 1\n")  # fmt: skip
    browser.chmod(0o755)
    with subprocess.Popen(
        [*program, "studio", "--checkpoint", "bundled"],
        cwd=tmp_path,
        env=environment(BROWSER=str(browser)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        url = process.stdout.readline()
        for _ in range(1000):
            if (tmp_path / "opened").exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.terminate()
        out, err = process.communicate(timeout=10)
    assert (tmp_path / "opened").read_bytes() == url
    assert (out, len(err.splitlines())) == (b"", 1)


def test_the_newest_run_is_used_as_by_sample(start_studio, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "runs" / "001-tiny")
    studio = start_studio(cwd=tmp_path)
    model = studio.get("/api/model").json
    assert model["name"].startswith("runs/001-tiny/")
    assert (model["other"], model["is_distilled"]) == (None, False)
    assert "edit" in model["can"]
    assert model["notices"]
    *_, done = studio.stream("/api/draw", {"labels": [2], "seed": 3})
    assert np.array_equal(pixels(done.data), mnistdiff.load(tiny_run).sample(2, seed=3))
