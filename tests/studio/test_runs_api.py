"""What is served of a folder of runs: only what a listing names, and nothing that a hostile folder holds besides."""

import asyncio
import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest

import mnistdiff
from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.runs import metrics
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.studio import runs as runs_of_studio

HOSTILE_NAME = os.fsdecode(b"\xff<img src=x>%2f'\"")
REPORT = model_card(PRETRAINED).evaluation


@pytest.fixture(scope="module")
def runs(tiny_run, tmp_path_factory):
    """A folder of runs: one that is evaluated, and a hostile one, whose files are links, foreign or huge."""
    folder = tmp_path_factory.mktemp("served") / "runs"
    first = RunDir(Path(shutil.copytree(tiny_run, folder / "001-tiny")))
    first.evaluation.write_text(REPORT.model_dump_json())
    hostile = RunDir(Path(shutil.copytree(tiny_run, folder / HOSTILE_NAME)))
    hostile.evaluation.write_text("[" * 100_000)
    hostile.epoch_samples(2).symlink_to("/etc/passwd")
    hostile.epoch_samples(3).write_text("<script>")
    hostile.epoch_samples(4).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5 * 2**20))
    hostile.metrics_file.unlink()
    hostile.metrics_file.mkdir()
    (folder / "away").symlink_to(tiny_run)
    return folder


@pytest.fixture(scope="module")
def served(start_studio, runs):
    return start_studio("--checkpoint", "bundled", "--runs", runs)


def address(name, *parts):
    return "/".join(["/api/runs", quote(name, safe=""), *map(str, parts)])


def test_a_run_is_served_as_it_is_in_its_folder(served, runs):
    listed = served.get("/api/runs").json
    assert listed["folder"] == str(runs)
    assert listed["start"].endswith(f" --run-dir {runs / '001-fast'}")
    run = next(run for run in listed["runs"] if run["name"] == "001-tiny")
    assert (run["state"], run["step"], run["total_steps"], run["previews"]) == ("finished", 45, 45, [1])
    files = RunDir(runs / "001-tiny")
    assert served.get(address("001-tiny", "records")).json["records"] == [run["last"]]
    assert served.get(address("001-tiny", "records?after=45")).json["records"] == []
    preview = served.get(address("001-tiny", "preview", 1))
    assert (preview.headers["content-type"], preview.body) == ("image/png", files.epoch_samples(1).read_bytes())
    for path in files.checkpoints():
        sheet = served.get(address("001-tiny", "checkpoints", path.name)).json
        assert sheet == json.loads(json.dumps({**describe(path).to_dict(), "path": path.name}))
    assert served.get(address("001-tiny", "evaluation")).json == REPORT.model_dump(mode="json")


def test_what_is_not_listed_is_not_served(served):
    shown = HOSTILE_NAME.encode(errors="backslashreplace").decode()
    names = {run["name"] for run in served.get("/api/runs").json["runs"]}
    assert names == {"001-tiny", shown}
    for name in ("..", ".", "away", "", "%2e%2e", "../../etc", "001-tiny/../..", "\0", "x" * 5000, "?<img src=x>"):
        for part in ("records", "preview/1", "checkpoints/settings.json", "evaluation"):
            assert served.get(address(name, part)).status in (400, 404, 414), (name, part)
    for path in ("/api/runs/" + quote_from_bytes(b"\xff") + "/records", "/api/runs/../runs/001-tiny/x"):
        assert served.get(path).status in (400, 404)
    for file in ("settings.json", "..%2fsettings.json", ".lock", "metrics.jsonl", "%00"):
        assert served.get(f"/api/runs/001-tiny/checkpoints/{file}").status == 404
    for epoch in ("2", "-1", "x", "1.png", "9" * 4000):
        assert served.get(f"/api/runs/001-tiny/preview/{epoch}").status in (404, 414)
    for after in ("x", "1e9", "9" * 5000, "-", "²"):
        assert served.get(address("001-tiny", f"records?after={quote(after)}")).status in (414, 422)
    assert served.post("/api/runs", {}).status == 405
    assert served.request("DELETE", address("001-tiny", "evaluation")).status == 405
    # A hostile run is shown, and what it holds besides is an error of one sentence.
    for part, status in (("preview/1", 200), ("preview/2", 404), ("preview/3", 422), ("preview/4", 422)):
        assert served.get(address(shown, part)).status == status, part
    for part in ("evaluation", "records"):
        answer = served.get(address(shown, part))
        assert answer.status == 422
        assert answer.json["error"]["message"]


def test_events_tell_of_runs_that_come_change_and_go(served, runs, tiny_run):
    with closing(served.stream("/api/runs/events")) as told, closing(served.stream("/api/runs/events")) as other:
        assert len(next(told).data["runs"]) == len(next(other).data["runs"]) == 2
        new = Path(shutil.copytree(tiny_run, runs / "002-new"))
        assert "002-new" in [run["name"] for run in next(told).data["runs"]]
        metrics.append(RunDir(new).metrics_file, {"kind": "step", "step": 46, "loss": 0.25})
        changed = next(told)
        assert (changed.name, changed.data["name"], changed.data["last"]["loss"]) == ("run", "002-new", 0.25)
        shutil.rmtree(new)
        assert len(next(told).data["runs"]) == 2
        assert "002-new" in [run["name"] for run in next(other).data["runs"]]  # it reads slowly, and misses nothing
    moved = runs.rename(runs.with_name("moved"))
    try:
        with closing(served.stream("/api/runs/events")) as told:
            assert next(told).data["runs"] == []
            moved.rename(runs)
            assert len(next(told).data["runs"]) == 2
    finally:
        if moved.exists():
            moved.rename(runs)


def test_very_long_metrics_are_thinned_and_keep_their_last_record_and_held_out_losses(served, runs, tiny_run):
    long = RunDir(Path(shutil.copytree(tiny_run, runs / "003-long")))
    records = [{"kind": "step", "step": 10 * k, "loss": 0.5} for k in range(1, 15_001)]
    for record in records[6::1000]:
        record["held_out_loss"] = 0.4
    long.metrics_file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    shown = served.get(address("003-long", "records")).json["records"]
    assert 1000 < len(shown) <= 2015
    assert shown[-1] == records[-1]
    assert [record for record in shown if "held_out_loss" in record] == [r for r in records if "held_out_loss" in r]
    assert served.get(address("003-long", "records?after=149980")).json["records"] == records[-2:]
    shutil.rmtree(long.path)


def test_one_look_serves_all_pages_and_none_is_taken_without_them(tiny_run, monkeypatch):
    looks = []
    listed = mnistdiff.list_runs
    monkeypatch.setattr(mnistdiff, "list_runs", lambda folder: looks.append(folder) or listed(folder))
    monkeypatch.setattr(runs_of_studio, "LOOK_SECONDS", 0.02)

    async def listen():
        watch = runs_of_studio.Watch(tiny_run.parent)
        pages = [watch.events() for _ in range(20)]
        for page in pages:
            assert [run["name"] for run in (await anext(page)).data["runs"]] == ["run"]
        begun = len(looks)
        while len(looks) < begun + 3:
            await asyncio.sleep(0.01)
        assert len(looks) < begun + 10  # of 20 pages
        for page in pages:
            await page.aclose()
        at_the_end = len(looks)
        await asyncio.sleep(0.2)
        assert len(looks) <= at_the_end + 1  # one was under way
        again = watch.events()
        await anext(again)
        assert len(looks) > at_the_end
        await again.aclose()

    asyncio.run(listen())
