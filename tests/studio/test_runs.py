"""The room of the runs in a browser: a training is followed live, runs are compared, what they hold is shown."""

import shutil
from pathlib import Path

import pytest
from browsers import axe_faults
from forks import kill_all
from playwright.sync_api import expect

from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import encode_checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.runs import metrics
from mnistdiff.engine.runs.run_dir import RunDir

ENDLESS = ["--batch-size", "8", "--max-steps", "1000000", "--save-every", "50", "--log-every", "1", "--sample-every", 0]
REPORT = model_card(PRETRAINED).evaluation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the studio: each test begins and ends without a run in it."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def studio(start_studio, folder):
    return start_studio("--checkpoint", "bundled", "--runs", folder)


@pytest.fixture(autouse=True)
def _empty(folder):
    yield
    for run in folder.iterdir():
        shutil.rmtree(run)


def add_run(tiny_run, path):
    """A finished run with a curve of its own and two previews."""
    run = RunDir(Path(shutil.copytree(tiny_run, path)))
    run.metrics_file.unlink()
    for step in range(1, 46):
        held_out = {"held_out_loss": 0.5 / step} if step % 9 == 0 else {}
        metrics.append(
            run.metrics_file,
            {"kind": "step", "step": step, "loss": 1 / step, "lr": 1e-3, "images_per_second": 99.0, **held_out},
        )
    shutil.copy(run.epoch_samples(1), run.epoch_samples(2))
    return run


def shown_step(page):
    """The step that the page shows of its run."""
    return int(page.locator(".run-facts dd").first.inner_text().split()[0].replace(",", ""))


def test_a_training_is_followed_from_its_start_to_its_end(studio, open_page, forks, tiny_toml, folder):
    page = open_page(studio.url)
    page.get_by_role("tab", name="Runs").click()
    command = page.get_by_role("textbox", name="Command")
    expect(command).to_have_text(f"mnistdiff train --preset fast --max-minutes 15 --run-dir {folder / '001-fast'}")
    fork = forks.start("train", "--config", tiny_toml, *ENDLESS, "--run-dir", folder / "live", cwd=folder)
    try:
        expect(page.get_by_role("heading", name="live")).to_be_visible()
        expect(page.locator(".run-head .state-of")).to_contain_text("training")
        expect(page.locator(".run-facts")).to_contain_text("time left")
        first = shown_step(page)
        curve = page.locator(".loss path.look-0").first
        path = curve.get_attribute("d")
        page.wait_for_function(
            "([step, path]) => parseInt(document.querySelector('.run-facts dd').textContent.replace(',', '')) > step"
            " && document.querySelector('.loss path.look-0').getAttribute('d') !== path",
            arg=[first, path],
        )
    finally:
        kill_all([fork])
    expect(page.locator(".run-head .state-of")).to_contain_text("stopped")
    expect(page.get_by_role("textbox", name="Command")).to_have_text(f"mnistdiff resume {folder / 'live'}")
    expect(page.locator("#live")).to_contain_text("live: stopped")
    # The values of the curve by keyboard alone.
    reader = page.get_by_role("slider", name="Loss: values by step")
    reader.focus()
    reader.press("End")
    expect(page.locator(".loss .readout")).to_contain_text("training 0.")
    last = page.locator(".loss .readout").inner_text()
    reader.press("ArrowLeft")
    expect(page.locator(".loss .readout")).not_to_have_text(last)
    shutil.rmtree(folder / "live")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()


def test_what_a_run_holds_is_shown_and_runs_are_compared(studio, open_page, tiny_run, folder):
    done = add_run(tiny_run, folder / "done")
    done.evaluation.write_text(REPORT.model_dump_json())
    other = add_run(tiny_run, folder / "other")
    checkpoint = read_checkpoint(other.weights)
    changed = checkpoint.metadata.settings.model_copy(update={"lr": 0.5})
    metadata = checkpoint.metadata.model_copy(update={"settings": changed})
    other.weights.write_bytes(encode_checkpoint(metadata, checkpoint.tensors))
    page = open_page(studio.url + "#runs", reduced_motion="reduce")  # no colour is under way when axe looks at it
    page.get_by_role("button", name="done").click()

    preview = page.get_by_alt_text("done after epoch 2")
    expect(preview).to_be_visible()
    page.wait_for_function("document.querySelector('img.preview').naturalWidth > 100")
    page.get_by_role("slider", name="Epoch").press("ArrowLeft")
    expect(page.get_by_alt_text("done after epoch 1")).to_be_visible()
    page.locator("summary", has_text=done.latest.name).click()
    expect(page.locator(".files .sheet")).to_contain_text(f"{describe(done.latest).sha256} (valid)")
    accuracy = REPORT.classifiers["conv"].accuracy.share
    expect(page.locator(".evaluation")).to_contain_text(f"{100 * accuracy:.2f} %")
    expect(page.locator(".evaluation")).to_contain_text("to step 45.")
    legend = page.locator(".loss .legend li")
    expect(legend).to_have_text(["training", "held out"])
    table = page.locator(".loss details")
    table.locator("summary").click()
    expect(table.locator("tbody tr")).to_have_count(45)
    expect(table.locator("tbody tr").nth(8)).to_have_text("90.11110.05556")
    done.rewind_metrics(9, log_every=1)  # as a run does that is resumed from an earlier state
    expect(table.locator("tbody tr")).to_have_count(9)
    assert axe_faults(page) == []

    page.get_by_role("checkbox", name="Compare other").check()
    expect(page.get_by_role("heading", name="2 runs")).to_be_visible()
    dashes = page.locator(".several .legend path").evaluate_all(
        "all => all.map(one => one.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == 2
    differing = page.locator(".several .wide tbody tr").filter(has=page.get_by_role("rowheader", name="lr", exact=True))
    assert sorted(differing.get_by_role("cell").all_inner_texts()) == ["0.003", "0.5"]
    assert page.get_by_role("rowheader", name="batch_size").count() == 0
    page.get_by_role("radio", name="Held-out loss").check(force=True)
    expect(page.locator(".several .plot h3")).to_have_text("Held-out loss")
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert axe_faults(page) == []


RANGES = [(0, 1), (0, 499), (1e-9, 3e-9), (0.102, 0.108), (20, 21), (1, 1e6), (-3, 5), (0.03, 2), (1e-8, 1e8)]


def test_the_ticks_of_a_plot_are_few_round_numbers_within_its_range(studio, open_page):
    page = open_page(studio.url)
    found = page.evaluate(
        """async (ranges) => {
            const { range, ticks, number } = await import('/static/scale.js');
            const answer = [];
            for (const values of ranges) for (const log of [false, true]) for (const count of [3, 6]) {
                if (log && values[0] <= 0) continue;
                const of = range(values, { log });
                answer.push([of, count, ticks(of, count), ticks(of, count).map(number)]);
            }
            return answer;
        }""",
        RANGES,
    )
    for of, count, ticks, names in found:
        assert ticks == sorted(set(ticks))
        assert 2 <= len(ticks) <= 2 * count + 1, (of, ticks)
        slack = 0.001 * (of["high"] - of["low"])
        assert of["low"] - slack <= ticks[0]
        assert ticks[-1] <= of["high"] + slack
        assert all(tick == float(f"{tick:.3g}") for tick in ticks), ticks
        assert len(set(names)) == len(names), (ticks, names)


def test_the_room_goes_on_when_the_server_is_back(studio, start_studio, open_page, tiny_run, folder):
    """The last one: it ends the server of the others."""
    add_run(tiny_run, folder / "first")
    page = open_page(studio.url + "#runs", expected="ERR_|403|Failed to load")
    expect(page.get_by_role("button", name="first")).to_be_visible()
    studio.process.kill()
    studio.process.wait()
    expect(page.get_by_role("alert")).to_be_visible()
    add_run(tiny_run, folder / "second")
    again = start_studio("--checkpoint", "bundled", "--runs", folder, "--port", studio.port)
    page.context.new_page().goto(again.url)
    expect(page.get_by_role("button", name="second")).to_be_visible()
    expect(page.get_by_role("heading", name="first")).to_be_visible()
