"""The HTML report of a run."""

import html
import json
import os
import re
import subprocess
from html.parser import HTMLParser

import pytest

from mnistdiff import settings_file
from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.evaluation.report import EvaluationReport
from mnistdiff.engine.runs.html_report import report
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, StorageError

VOID = {"meta", "img", "input", "source", "br", "link", "hr"}


class Page(HTMLParser):
    """A parsed page: addresses, text, elements; every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.words, self.elements, self._open = [], [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in ("src", "srcset", "href")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def run(run_copy):
    return RunDir(run_copy)


@pytest.fixture
def without_plots(monkeypatch):
    monkeypatch.setattr("mnistdiff.engine.runs.html_report._curves", lambda *_: {})


def evaluation():
    """That of the bundled model whose card has all parts."""
    return json.loads(model_card(PRETRAINED.with_name("pretrained-2.safetensors")).evaluation.model_dump_json())


def test_a_page_shows_the_run_and_is_self_contained(run):
    page = Page(report(run).decode())
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    described = describe(run.best())
    for part in (
        f"{described.step}",
        f"{described.parameters:,}",
        described.sha256,
        "preset tiny",
        "complete",
    ):
        assert part in page.text
    assert "mnistdiff sample" in page.text
    assert "Evaluation" not in page.text
    changed = {row["class"] for tag, row in page.elements if tag == "tr" and "class" in row}
    assert changed == {"changed"}


@pytest.mark.usefixtures("without_plots")
def test_every_setting_is_there_and_those_that_differ_from_the_preset_are_marked(run):
    text = report(run).decode()
    found = re.findall(r'<tr(?: class="(changed)")?><td class="mono">(\w+)</td><td class="mono">([^<]*)</td>', text)
    assert [name for _, name, _ in found] == list(describe(run.best()).settings)
    marked = {name: value for mark, name, value in found if mark}
    assert marked == {
        "dataset": "mnist-5k",
        "max_steps": "45",
        "timesteps": "10",
        "patch_size": "4",
        "channels": "8",
        "embedding": "16",
        "checkpoint_every": "1",
    }


@pytest.mark.usefixtures("without_plots")
def test_a_long_run_shows_some_of_its_previews_from_first_to_last(run):
    [first] = run.previews().values()
    for epoch in range(2, 101):
        run.epoch_samples(epoch).write_bytes(first.read_bytes())
    page = Page(report(run).decode())
    epochs = [int(image["data-epoch"]) for tag, image in page.elements if image.get("class") == "each"]
    assert (epochs[0], epochs[-1], len(epochs)) == (1, 100, 24)
    assert epochs == sorted(set(epochs))
    steps = [b - a for a, b in zip(epochs, epochs[1:], strict=False)]
    assert max(steps) - min(steps) <= 1


@pytest.mark.usefixtures("without_plots")
def test_an_evaluation_is_shown_and_one_of_another_checkpoint_is_said_to_be(run, tmp_path):
    result = evaluation()
    run.evaluation.write_text(json.dumps(result))
    page = Page(report(run).decode())
    conv = result["classifiers"]["conv"]
    assert "Evaluation" in page.text
    assert f"{100 * conv['accuracy']['share']:.2f} %" in page.text
    assert f"{conv['fcd']:.3f}, {conv['fcd_ratio']:.1f} × that of real images" in page.text
    assert "another checkpoint" in page.text
    result["model"]["sha256"] = describe(run.best()).sha256
    result["cas"] = None
    for metrics in result["classifiers"].values():
        metrics |= {"fcd_real": None, "prdc": None}
    (tmp_path / "other.json").write_text(json.dumps(result))
    page = Page(report(run, tmp_path / "other.json").decode())
    assert "another checkpoint" not in page.text
    assert "CAS" not in page.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"{}", "model"),
        (
            b'{"model": {"checkpoint": "a", "sha256": "0", "preset": "base", "step": 1}, "classifiers": {}, '
            b'"sampling": {"sampler": "ddim", "steps": 1, "guidance": 1, "seed": 0}, "num_images": 1}',
            "classifiers",
        ),
    ],
)
def test_a_file_that_is_not_an_evaluation_is_refused(run, content, why):
    run.evaluation.write_bytes(content)
    with pytest.raises(StorageError, match="is not the evaluation of a model") as refused:
        report(run)
    assert why in str(refused.value)


WRONG = ["x", None, [1], {}, True, 10**4000, -(10**4000), float("nan"), float("inf"), "\ud800", "\x1b[2J"]


@pytest.mark.usefixtures("without_plots")
def test_an_evaluation_with_anything_anywhere_is_shown_or_refused_in_a_sentence(run, monkeypatch):
    """A third of the wrong values in place of every part."""
    monkeypatch.setattr("mnistdiff.engine.runs.html_report._previews", lambda *_: [])
    result = evaluation()
    result["classifiers"] = {"conv": result["classifiers"]["conv"]}
    part_of = [(result, name) for name in ("model", "sampling", "num_images", "classifiers", "cas")]
    conv = result["classifiers"]["conv"]
    part_of += [(result[name], key) for name in ("model", "sampling", "cas") for key in result[name]]
    part_of += [(conv, key) for key in conv] + [(conv["accuracy"], key) for key in conv["accuracy"]]
    refused = []
    for number, (whole, key) in enumerate(part_of):
        usual = whole[key]
        for value in WRONG[number % 3 :: 3]:
            whole[key] = value
            run.evaluation.write_text(json.dumps(result))
            try:
                EvaluationReport.read(run.evaluation)
            except StorageError as error:
                refused.append(error.message)
            else:
                report(run)
        whole[key] = usual
    assert len(refused) > len(part_of)
    assert [message for message in refused if len(message) > 400 or "\n" in message] == []


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
def test_an_evaluation_that_is_not_a_file_is_refused_at_once(run, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(settings_file, "_PIPE_SECONDS", 0.2)  # a shell's <(...) is given time to begin
    path = tmp_path / "evaluation.json"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "large":
            path.touch()
            os.truncate(path, 2**40)
    with pytest.raises(StorageError, match="evaluation.json"):
        report(run, path)


@pytest.mark.usefixtures("without_plots")
def test_a_run_of_somebody_else_cannot_put_code_into_the_page(run, tmp_path):
    """Whatever is read from the folder is text: its name, its records, its evaluation, its pictures."""
    evil = "<script>alert(1)</script>"
    result = evaluation()
    result["classifiers"] = {evil: result["classifiers"]["conv"]}
    hostile = RunDir(run.path.rename(tmp_path / 'a"><img src=x onerror=alert(1)>'))
    hostile.evaluation.write_text(json.dumps(result))
    hostile.append_metrics({"kind": "step", "step": 1, "loss": 0.5, "lr": 1e-3, "images_per_second": 9, "epoch": evil})
    page = Page(report(hostile).decode())
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == []
    assert evil in page.text
    assert not [a for _, a in page.elements if "onerror" in a]
    with open(hostile.epoch_samples(1), "wb") as file:
        file.write(b"<svg onload=alert(1)>")
    with pytest.raises(StorageError, match="not a PNG picture"):
        report(hostile)


@pytest.mark.parametrize("name", ['x";$(touch pwn)`touch pwn`', "two words", "caf\udce9", "-n", "a\nb"])
@pytest.mark.usefixtures("without_plots")
def test_the_commands_to_copy_name_the_run_and_do_nothing_else(run, tmp_path, name):
    moved = RunDir(run.path.rename(tmp_path / name))
    [commands] = re.findall(r"<pre>(.*?)</pre>", report(moved).decode(), re.DOTALL)
    (tmp_path / "cwd").mkdir()
    script = 'mnistdiff() { printf "%s\\0" "$@"; }\n' + html.unescape(commands)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path / "cwd", capture_output=True, check=True)
    words = done.stdout.split(b"\0")
    path = os.fsencode(moved.path)
    assert (words.count(path), words.count(path + b"/evaluation.json")) == (2, 1)
    assert done.stderr == b""
    assert list((tmp_path / "cwd").iterdir()) == []


def test_a_run_that_has_just_begun_has_a_page(run):
    run.metrics_file.unlink()
    for path in run.previews().values():
        path.unlink()
    page = Page(report(run).decode())
    assert page.addresses == []
    assert "Settings" in page.text


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        report(RunDir(tmp_path))
