import io
import json

import pytest
import torch
from PIL import Image
from warned import beside_the_warning

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.evaluation import cas, evaluate, real_images
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.report import EvaluationReport, LikelihoodReport
from mnistdiff.engine.evaluation.results import ClassifierMetrics
from mnistdiff.settings import TrainSettings

FEW = ["-n", 12, "--steps", 2]


@pytest.fixture(autouse=True, scope="module")
def _classifiers_loaded_once():
    """The bundled classifiers, verified and loaded by the first test that needs them."""
    loaded = []
    load = evaluate.load_reference_classifiers

    def load_once(spec, files):
        loaded[:] = loaded or load(spec, files)
        return tuple(loaded)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load_reference_classifiers", load_once)
        yield


@pytest.fixture
def with_data(tiny_toml, invoke, monkeypatch):
    """Some real images, as if MNIST were here, and little training on them."""
    data = load_training_images(
        TrainSettings(dataset="mnist-5k"), data_dir=None
    )  # as ``invoke`` leaves it: parsed once
    real = RealImages.of(MNIST, data[::50], data[7::50])
    monkeypatch.setattr(RealImages, "load", lambda spec, data_dir, **_: real)
    monkeypatch.setattr(cas.measure_cas, "__kwdefaults__", {"real_scores": (), "epochs": 1})


def table(done):
    """The lines of stdout, by their first cell."""
    assert done.returncode == 0, done.stderr.decode()
    return {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.decode().splitlines()}


def picture(file):
    with Image.open(io.BytesIO(file.read_bytes())) as opened:
        assert opened.format == "PNG"
        return opened.size


def keys_of(model):
    return model.model_json_schema(mode="serialization")["properties"].keys() - {"sheet"}


def test_a_report_in_a_process_of_its_own_offline(forked, tiny_run, tmp_path):
    done = forked("evaluate", tiny_run, *FEW, "--data-dir", "none", cwd=tmp_path)
    rows = table(done)
    assert rows["measure"] == ["conv", "real", "residual", "real"]
    assert rows["fcd"][1::2] == ["-", "-"]
    assert "coverage" not in rows
    assert len(rows["conv"]) == 10
    assert rows["images"][0].startswith("12, seed 0, ")
    message = done.stderr.decode()
    [notice] = [line for line in message.splitlines() if line.startswith("warning: ") and "coverage" in line]
    assert [part for part in ("fcd", "--data-dir") if part not in notice] == []
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_whole_report_and_the_same_again_but_for_the_time(invoke, tiny_run, tmp_path):
    line = ["evaluate", tiny_run, *FEW, "--seed", 5, "--guidance", 1.5, "--json"]
    first, second = (json.loads(invoke(*line).stdout) for _ in range(2))
    assert first.keys() == keys_of(EvaluationReport)
    assert list(first["classifiers"]) == ["conv", "residual"]
    assert all(metrics.keys() == keys_of(ClassifierMetrics) for metrics in first["classifiers"].values())
    assert {"steps": 2, "guidance": 1.5, "seed": 5}.items() <= first["sampling"].items()
    assert (first["model"]["preset"], first["model"]["step"], first["num_images"]) == ("tiny", 45, 12)
    for report in (first, second):
        del report["seconds"], report["images_per_second"]
    assert first == second
    assert list(tmp_path.iterdir()) == []


def test_the_newest_run_is_evaluated_and_the_report_also_written(invoke, run_copy, tmp_path):
    done = invoke("evaluate", *FEW, "-o", "new/report.json")
    assert table(done)["checkpoint"][0].startswith("run/conditional_diffusion_mnist.safetensors (preset tiny, step 45")
    assert b"saved new/report.json" in done.stderr
    report = EvaluationReport.read(tmp_path / "new" / "report.json")
    assert report.model.checkpoint == "run/conditional_diffusion_mnist.safetensors"


def test_with_data_real_images_are_compared_with_and_more_if_asked_for(invoke, with_data, tiny_run, tmp_path):
    done = invoke("evaluate", tiny_run, *FEW, "--cas", "--memorization", "--confusion", "--quiet")
    rows = table(done)
    assert beside_the_warning(done.stderr) == b""
    for metric in ("accuracy", "  95 % interval", "fcd", "precision", "recall", "density", "coverage"):
        assert "-" not in rows[metric]
    assert len(rows["accuracy (CAS)"]) == len(rows["seed 2"]) == len(rows["copies"]) == 2
    assert len(rows["label 9"]) == 10
    assert len(rows["mistakes, conv"]) == 1
    width, height = picture(tmp_path / "memorization_pairs.png")
    assert width > 12 * 56
    assert height > 2 * 56


def test_pairs_replace_nothing(invoke, with_data, tiny_run, tmp_path):
    line = ["evaluate", tiny_run, *FEW, "--memorisation", "--pairs", "p.png"]  # as in version 0.1
    assert invoke(*line).returncode == 0
    before = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(b"precious")
    done = invoke(*line)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"p.png" in done.stderr
    assert invoke(*line, "--force", "--json").returncode == 0
    assert (tmp_path / "p.png").read_bytes() == before


def test_values_of_a_setting_are_compared_in_a_table_and_a_plot(invoke, with_data, tiny_run, tmp_path):
    line = ["evaluate", tiny_run, "-n", 12, "--by", "steps=1,2,2", "--cas"]
    done = invoke(*line, "--plot", "steps.png", "-o", "steps.json")
    rows = table(done)
    header = ["acc. conv", "acc. residual", "fcd conv", "fcd residual", "ratio", "coverage", "CAS"]
    assert rows.keys() == {"steps", "1", "2"}
    assert rows["steps"] == header
    assert {len(rows[value]) for value in ("1", "2")} == {7}
    assert b"steps 1: accuracy" in done.stderr
    assert picture(tmp_path / "steps.png") == (1200, 675)
    content = json.loads((tmp_path / "steps.json").read_text())
    assert (content["by"], content["values"]) == ("steps", [1, 2])
    assert [report["sampling"]["steps"] for report in content["evaluations"]] == [1, 2]
    assert content["model"] == content["evaluations"][0]["model"]


@pytest.mark.parametrize(
    ("options", "typed", "values"),
    [
        (["--guidance", 3], "guidance_interval=0:1,0.5:1", [[0, 1], [0.5, 1]]),
        ([], "weights=ema,raw", ["ema", "raw"]),  # two models
    ],
)
def test_intervals_and_words_are_compared_too(invoke, tiny_run, tmp_path, options, typed, values):
    line = ["evaluate", tiny_run / "diffusion_checkpoint.safetensors", *FEW, *options, "--by", typed]
    content = json.loads(invoke(*line, "--plot", "p.png", "--json").stdout)
    assert content["values"] == values
    one, other = (report["classifiers"]["conv"]["fcd"] for report in content["evaluations"])
    assert one != other
    assert picture(tmp_path / "p.png") == (1200, 675)


def test_a_threshold_that_is_missed_is_9_after_the_report(invoke, tiny_run):
    line = ["evaluate", tiny_run, *FEW]
    done = invoke(*line, "--min-accuracy", 0, "--max-fcd", 1e9)
    assert (done.returncode, done.stdout == b"") == (0, False)
    done = invoke(*line, "--min-accuracy", 100, "--max-fcd", 0.001, "--quiet")
    assert done.returncode == 9
    assert b"accuracy" in done.stdout
    *_, message = done.stderr.decode().splitlines()
    assert message.startswith("error: ")
    assert [part for part in ("accuracy", "100 %", "fcd", "0.001") if part not in message] == []
    done = invoke(*line, "--max-fcd", 0.001, "--json")
    assert done.returncode == json.loads(done.stderr.splitlines()[-1])["error"]["code"] == 9
    assert json.loads(done.stdout)["num_images"] == 12


@pytest.mark.parametrize("flag", ["--cas", "--memorization"])
def test_what_needs_mnist_and_has_none_is_4(invoke, tiny_run, tmp_path, flag):
    done = invoke("evaluate", tiny_run, flag, "--data-dir", "none")
    assert (done.returncode, done.stdout) == (4, b"")
    message = done.stderr.decode()
    assert [part for part in (flag, "MNIST", "none", "--data-dir") if part not in message] == []
    assert list(tmp_path.iterdir()) == []


WRONG = [
    ("-n 9", "--n", "'9'"),
    ("-n 60001", "60001"),
    ("--seed -1", "--seed", "-1"),
    ("--seed 4294967295 -n 12", "4294967295"),
    ("--steps 11", "--steps", "11", "10"),
    ("--min-accuracy 101", "--min-accuracy", "101"),
    ("--max-fcd nan", "--max-fcd", "nan"),
    ("--by guidance", "--by", "'guidance'"),
    ("--by guidence=1,2", "guidence", "guidance"),
    ("--by guidance=1,much", "'much'"),
    ("--by guidance=1,,2", "''"),
    ("--by sampler=ddim,euler", "'euler'"),
    ("--by steps=2,11", "11"),
    ("--by steps=1,2 --memorization", "--memorization", "--by"),
    ("--by steps=1,2 --max-fcd 1", "--max-fcd", "--by"),
    ("--by steps=1,2 --min-accuracy 0", "--min-accuracy", "--by"),
    ("--plot a.png", "--plot", "--by"),
    ("--pairs a.png", "--pairs", "--memorization"),
    ("--by steps=1,2 --plot a.pdf", "a.pdf", ".png"),
    ("-o report.txt", "report.txt", ".json"),
    ("--bits-per-dim --evaluations 1", "--evaluations", "'1'"),
    ("--bits-per-dim --split dev", "--split", "'dev'"),
    ("--bits-per-dim -o report.txt", "report.txt", ".json"),
    ("surplus", "surplus"),
]


@pytest.mark.parametrize(("line", "fragments"), [(line, fragments) for line, *fragments in WRONG])
def test_nonsense_is_refused_in_one_sentence(invoke, with_data, tiny_run, tmp_path, line, fragments):
    done = invoke("evaluate", tiny_run, *line.split(), "-q")
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), message
    assert [fragment for fragment in fragments if fragment not in message] == []
    assert len([line for line in message.splitlines() if not line.startswith("warning: ")]) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "evaluate bundled -n 10 --by steps=1,2",
        "sample -c bundled -d 7 --seed 1",
        "grid bundled -d 7 -n 1",
        "interpolate --from 1 --to 2 --frames 2 -c bundled --seed 1",
    ],
)
def test_onnx_runs_on_the_cpu_of_a_machine_with_a_gpu(invoke, monkeypatch, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("MNISTDIFF_DEVICE")
    done = invoke(*line.split(), "--backend", "onnx", "-q")
    assert done.returncode == 0, done.stderr.decode()
    refused = invoke(*line.split(), "--backend", "onnx", "--device", "cuda", "-q", "--force")
    assert (refused.returncode, b"cuda" in refused.stderr) == (2, True)


BOUND = ["--bits-per-dim", "-n", 12, "--evaluations", 3]


def test_the_bound_is_printed_with_its_terms_and_also_written(invoke, tiny_run, tmp_path):
    done = invoke("evaluate", tiny_run, *BOUND, "--split", "train", "-o", "bound.json")
    rows = table(done)
    assert rows["images"][0].startswith("12 train images of mnist-5k, 3 evaluations")
    assert len(rows["bound"]) == 2
    written = json.loads((tmp_path / "bound.json").read_text())
    assert written.keys() == keys_of(LikelihoodReport)
    assert rows["bound"][0] == f"{written['bits_per_dim']:.4f}"
    assert written["terms"].keys() == {"prior", "denoising", "decoder"}
    assert sum(written["terms"].values()) == pytest.approx(written["bits_per_dim"])
    assert (written["weights"], written["model"]["step"]) == ("ema", 45)
    again = invoke("evaluate", tiny_run, *BOUND, "--split", "train", "--json", "-o", "bound.json", "--force")
    assert {**json.loads(again.stdout), "seconds": 0} == {**written, "seconds": 0}
    raw = invoke(
        "evaluate", tiny_run / "diffusion_checkpoint.safetensors", *BOUND, "--split=train", "--weights=raw", "--json"
    )
    assert json.loads(raw.stdout)["bits_per_dim"] != written["bits_per_dim"]


def test_test_images_of_a_part_of_mnist_are_those_of_mnist(invoke, tiny_run, monkeypatch):
    data, asked = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None), []

    def recorded(spec, split, **options):
        asked.append((spec.name, split, options["may_download"]))
        return data[:30]

    monkeypatch.setattr(real_images, "load_images", recorded)
    done = invoke("evaluate", tiny_run, *BOUND, "--json")
    assert json.loads(done.stdout)["split"] == "test"
    assert asked == [("mnist", "test", False)]


def test_a_bound_without_images_or_of_a_student_is_refused(invoke, tiny_run, tmp_path):
    done = invoke("evaluate", tiny_run, *BOUND, "--data-dir", "none")
    assert (done.returncode, done.stdout) == (4, b"")
    assert [
        part for part in ("--bits-per-dim", "MNIST", "none", "--data-dir") if part not in done.stderr.decode()
    ] == []
    done = invoke("evaluate", "bundled-2", *BOUND)
    assert (done.returncode, done.stdout) == (2, b"")
    assert [part for part in ("--bits-per-dim", "bundled-teacher") if part not in done.stderr.decode()] == []
    assert list(tmp_path.iterdir()) == []
