"""The server of the studio: what it answers, and that it draws what ``sample`` draws."""

import base64

import numpy as np


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
    assert np.load(file)["images"].tobytes() == base64.b64decode(done.data["images"])
