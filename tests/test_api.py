"""The Python API gives what the commands give, names what is wrong with an argument, and costs nothing to import."""

import io
import json
import re
import shlex
import string
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnistdiff
from mnistdiff import api
from mnistdiff.arguments import InpaintOptions, SampleOptions, specs_of
from mnistdiff.cli import app
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.checkpoint.model_info import UNSAVED
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import SampleSpec
from mnistdiff.engine.outputs.command import sample_command
from mnistdiff.engine.outputs.images import Images
from mnistdiff.engine.outputs.provenance import Origin
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.engine.runs.events import Finished, Started
from mnistdiff.errors import CheckpointError, DataError, SettingsError, StorageError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings

PAGE = Path(__file__).parents[1] / ".github" / "docs" / "python.md"
HEAVY = ("numpy", "torch", "pydantic", "typer", "rich", "PIL", "typing")


@pytest.fixture(scope="module")
def model():
    return mnistdiff.load()


@pytest.fixture(scope="module")
def nine(model):
    """One image as MNIST has them, uint8 (28, 28)."""
    return model.sample(9, seed=3)[0]


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run a command in ``tmp_path``, where no run is: ``command(line)`` is the content of its file ``out...``."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        assert app.run([*line.split(), "--quiet", "--force"]) == 0
        return (tmp_path / re.search(r"out\S*", line)[0]).read_bytes()

    return run


def test_importing_the_package_imports_no_library(environment):
    code = f"""
import sys
import mnistdiff
assert {{"load", "train", "MnistDiffError", "__version__"}} <= set(dir(mnistdiff))
print([name for name in {HEAVY} if name in sys.modules])
mnistdiff.MnistDiffError
print([name for name in {HEAVY[:-1]} if name in sys.modules])
mnistdiff.load().sample(7, steps=1)
print("torch" in sys.modules, "typer" in sys.modules, "cv2" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().split("\n") == ["[]", "[]", "False False False", ""]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="sampel"):
        mnistdiff.sampel  # noqa: B018
    assert set(mnistdiff.__all__) == {*api.__all__, "MnistDiffError"}


PICTURES = {
    "sample --digit 7 --n 3 --seed 5 -o out.png": lambda model, _: model.sample(7, n=3, seed=5),
    "sample --digit 7 --seed 5 --steps 3 --guidance 0 -o out.png": lambda model, _: model.sample(
        7, seed=5, steps=3, guidance=0
    ),
    "sample --digits 2026 --n 2 --seed 1 --sampler ddim --eta 0.5 -o out.png": lambda model, _: model.sample(
        "2026", 2, seed=1, sampler="ddim", eta=0.5
    ),
    "sample --digit 3,8 --seed 1 --format npz -o out.npz": lambda model, _: model.sample([3, 8], seed=1),
    "edit nine.png --digit 4 --seed 2 -o out.png": lambda model, nine: model.edit(nine, digit=4, seed=2),
    "edit nine.png --strength 0.5 --guidance 1 --seed 2 -o out.png": lambda model, nine: model.edit(
        Image.fromarray(nine), strength=0.5, guidance=1, seed=2
    ),
    "inpaint nine.png --mask bottom --digit 8 --rounds 2 --seed 2 -o out.png": lambda model, nine: model.inpaint(
        nine, mask="bottom", digit=8, resample_steps=2, seed=2
    ),
    "interpolate --from 3 --to 8 --seed 1 --to-seed 2 --frames 5 -o out.gif": lambda model, _: model.interpolate(
        3, 8, seed=1, end_seed=2, frames=5
    ),
}


@pytest.mark.parametrize("line", PICTURES)
def test_a_method_saves_the_bytes_that_its_command_writes(model, nine, command, tmp_path, line):
    Image.fromarray(nine).save(tmp_path / "nine.png")
    written = command(line)
    saved = PICTURES[line](model, nine).save(tmp_path / f"saved{Path(line).suffix}")
    assert saved.read_bytes() == written


COMMANDS = {
    "one": lambda model, _: model.sample(7, seed=5),
    "of several classes": lambda model, _: model.sample([3, 8], 2, seed=5, guidance=0),
    "a word": lambda model, _: model.sample("2026", 2, seed=1, sampler="ddim", eta=0.5),
    "guided in an interval": lambda model, _: model.sample(
        7, seed=2, steps=3, spacing="even", guidance=3, guidance_interval=(0.2, 0.75)
    ),
    "some of others": lambda model, _: model.sample([3, 8], 3, seed=1)[3:5],
    "a selection": lambda model, _: model.sample([3, 8], 2, seed=1)[[0, 3]],
    "edited": lambda model, nine: model.edit(nine, digit=4, seed=2),
    "an interpolation": lambda model, _: model.interpolate(3, 8, seed=1, end_seed=2, frames=5, steps=3),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_the_command_of_images_makes_their_file(model, nine, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    images = COMMANDS[case](model, nine)
    _, *words = shlex.split(images.command)
    file = tmp_path / words[-1]
    saved = images.save(file).read_bytes()
    if words[0] == "reproduce":
        assert case in ("a selection", "edited")
        words = [*words, "-o", "again.png"]
        file = tmp_path / "again.png"
    else:
        file.unlink()
    assert app.run([*words, "--quiet"]) == 0
    assert file.read_bytes() == saved
    if isinstance(images, Images):
        assert json.loads(Picture.read(file).text("mnistdiff")) == images.provenance


def test_the_command_of_the_weights_and_the_backend_that_are_not_the_defaults(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tiny_run / "diffusion_checkpoint.safetensors"
    images = mnistdiff.load(file, weights="raw").sample(2, seed=3)
    assert app.run([*shlex.split(images.command)[1:], "--quiet"]) == 0
    assert (tmp_path / "digit_2_3.png").read_bytes() == images.png()


def test_a_class_whose_name_is_an_option_is_named_in_the_command():
    spec = replace(MNIST, name="odd", class_names=("--help", "it's"), class_counts=(1, 1))
    origin = Origin(replace(DiffusionModel(None, TrainSettings()), info=UNSAVED), SampleSettings())
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(TrainSettings, "spec", property(lambda settings: spec))
        words = shlex.split(sample_command(origin, [SampleSpec(0, 1), SampleSpec(1, 1)], file="x.png"))
    assert words[2:5] == ["--class=--help", "--class", "it's"]


def test_steps_are_passed_on_and_what_is_raised_ends_the_sampling(model, nine):
    states = []
    images = model.sample(7, 3, seed=2, on_step=states.append)
    assert [state.t for state in states] == sorted((state.t for state in states), reverse=True)
    assert np.array_equal(mnistdiff.to_uint8(states[-1].x_t)[:, 0], images)
    assert model.noise([2, 3, 4]).shape == states[0].x_t.shape
    assert np.array_equal(model.noise([3])[0], model.noise([2, 3])[1])
    assert np.array_equal(model.noise([3])[0], sampling_noise([3], 0, (1, 28, 28))[0])
    image = model.sample(2, seed=0)[0]
    for seed, x_t in zip((4, 5), model.diffuse(image, 300, [4, 5]), strict=True):
        np.testing.assert_allclose(x_t[0], model.denoise(image, 2, 300, seed=seed).x_t, atol=1e-6)
    edited, filled = [], []
    model.edit(nine, 4, seed=2, steps=3, on_step=edited.append)
    model.inpaint(nine, "left", 9, seed=2, steps=3, resample_steps=2, on_step=filled.append)
    assert (len(edited), len(filled)) == (3, 5)

    def leave(step):
        raise KeyError(step.t)

    with pytest.raises(KeyError):
        model.sample(7, on_step=leave)


def test_a_strip_and_a_folder_are_those_of_the_command(model, command, tmp_path):
    strip = command("interpolate --from 3 --to 8 --seed 1 --frames 3 --steps 2 --film out.png")
    morph = model.interpolate(3, 8, seed=1, frames=3, steps=2)
    assert morph.save(tmp_path / "strip.png", strip=True).read_bytes() == strip
    assert np.array_equal(morph[[0, -1]], model.sample([3, 8], seed=1, steps=2))
    one = command("sample --digit 7 --seed 3 --steps 2 -o out/digit_7_3.png")
    folder = model.sample(7, 2, seed=2, steps=2).save(tmp_path / "new" / "folder")
    assert sorted(file.name for file in folder.iterdir()) == ["digit_7_2.png", "digit_7_3.png"]
    assert (folder / "digit_7_3.png").read_bytes() == one


def test_a_word_is_sampled_in_the_classes_of_its_data_set():
    letters = replace(MNIST, name="letters", class_names=tuple(string.ascii_uppercase), class_counts=(1,) * 26)
    assert specs_of(letters, "HI", 2, 5) == [SampleSpec(7, 5), SampleSpec(8, 6), SampleSpec(7, 7), SampleSpec(8, 8)]
    assert [spec.label for spec in specs_of(letters, None, 1, 0)] == [*range(26)]
    with pytest.raises(SettingsError, match="labels.*'4'"):
        specs_of(letters, "4U", 1, 0)


def test_images_are_an_array_that_stays_with_its_labels_and_seeds(model):
    images = model.sample(range(10), n=2, seed=4, steps=1)
    assert (len(images), images.shape, np.asarray(images).dtype) == (20, (20, 28, 28), np.uint8)
    assert images.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    assert images.seeds.tolist() == [4, 5] * 10
    assert np.array_equal(images[-1], model.sample(9, seed=5, steps=1)[0])
    assert all(np.array_equal(each, row) for each, row in zip(images, images.array, strict=True))
    threes = images[images.labels == 3]
    assert isinstance(threes, Images)
    assert threes.png() == images[6:8].png() == images[[6, 7]].png() == model.sample(3, 2, seed=4, steps=1).png()
    before = images.png()
    images.array[:] = 0  # what is saved is what its metadata say
    assert images.png() == before
    assert np.array(images, dtype=float).max() == 0
    with Image.open(io.BytesIO(images._repr_png_())) as shown:
        assert shown.width > 2 * 28
    assert images[:0].shape == (0, 28, 28)


def test_several_processes_sample_the_same_images(model):
    one, two = (model.sample([1, 2], 20, seed=0, steps=1, processes=processes) for processes in (None, 2))
    assert np.array_equal(one, two)
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.seeds, two.seeds)


def test_load_without_a_source_is_the_bundled_model_even_beside_a_run(tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run.parent)
    assert mnistdiff.load().info.checkpoint == next(iter(bundled_models()))
    of_run, of_file = mnistdiff.load("run"), mnistdiff.load(tiny_run / "diffusion_checkpoint.safetensors")
    assert of_run.info.step == of_file.info.step == 45
    assert of_run.info.notices
    settings = of_run.sample_settings(eta=1)
    assert (settings.guidance, settings.steps, settings.eta) == (1.5, 10, 1)
    raw = mnistdiff.load(tiny_run / "diffusion_checkpoint.safetensors", weights="raw", backend="torch")
    assert (raw.sample_settings().weights, raw.backend) == ("raw", "torch")
    assert not np.array_equal(raw.sample(1, seed=0, steps=1), of_file.sample(1, seed=0, steps=1))


WRONG = {
    "labels": lambda m, _: m.sample(10),
    "labels ": lambda m, _: m.sample("7x"),
    "n": lambda m, _: m.sample(7, 0),
    "seed": lambda m, _: m.sample(7, seed=-1),
    "steps": lambda m, _: m.sample(7, steps=501),
    "guidance": lambda m, _: m.sample(7, guidance="much"),
    "guidence": lambda m, _: m.sample(7, guidence=2),
    "weights": lambda m, _: m.sample(7, weights="raw"),
    "eta": lambda m, _: m.sample(7, eta=1),
    "guidance_interval": lambda m, nine: m.edit(nine, 4, guidance=1, guidance_interval=(0, 1)),
    "spacing": lambda m, _: mnistdiff.evaluate(m, n=10, steps=1, spacing="even"),
    "sampler ": lambda m, _: m.sample(7, sampler=""),
    "sampler": lambda m, nine: m.inpaint(nine, "left", sampler="ddim"),
    "strength": lambda m, nine: m.edit(nine, 4, strength=0),
    "image": lambda m, _: m.edit(np.zeros((28, 28)), 4),
    "mask": lambda m, nine: m.inpaint(nine, np.zeros((28, 28), bool), 4),
    "processes": lambda m, _: m.sample(7, processes=0),
    "processes ": lambda m, _: mnistdiff.evaluate(m, n=10, processes="all"),
    "seeds": lambda m, _: m.noise([-1]),
    "frames": lambda m, _: m.interpolate(1, 2, frames=201),
    "end": lambda m, _: m.interpolate(1, -2),
    "end_seed": lambda m, _: m.interpolate(1, 2, end_seed=2**32),
    "t": lambda m, nine: m.denoise(nine, 9, 500),
    "evaluations": lambda m, nine: m.classify(nine, evaluations=0),
    "path": lambda m, nine: m.sample(7, steps=1).save("seven.jpg"),
    "path ": lambda m, nine: m.interpolate(1, 2, frames=2, steps=1).save("morph.gif", strip=True),
    "device": lambda m, _: mnistdiff.load(device="tpu"),
    "backend": lambda m, _: mnistdiff.load(backend="jax"),
    "n ": lambda m, _: mnistdiff.evaluate(m, n=9),
    "memorization": lambda m, _: mnistdiff.evaluate(m, n=10, memorization=True, data_dir=Path(__file__).parent),
    "split": lambda m, _: mnistdiff.bits_per_dim(m, split="dev"),
    "evaluations ": lambda m, _: mnistdiff.bits_per_dim(m, evaluations=1),
    "bits_per_dim": lambda m, _: mnistdiff.bits_per_dim(m, data_dir=Path(__file__).parent),
    "lr": lambda m, _: mnistdiff.train(lr=-1),
    "learning_rate": lambda m, _: mnistdiff.train(learning_rate=1),
    "max_minutes": lambda m, _: mnistdiff.train(max_minutes=0),
    "epochs": lambda m, _: mnistdiff.resume(Path(__file__).parent, epochs=0),
    "max_steps": lambda m, _: mnistdiff.resume(Path(__file__).parent, max_steps=-1),
    "run_dir": lambda m, _: mnistdiff.resume(Path(__file__).parent, run_dir=7),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_by_an_error_of_the_package(model, nine, name):
    with pytest.raises((SettingsError, DataError), match=rf"\b{name.strip()}\b"):
        WRONG[name](model, nine)


def test_all_wrong_settings_are_named_at_once(model):
    with pytest.raises(SettingsError, match="`steps` 0 .*`guidance` -1 ") as caught:
        model.sample(7, steps=0, guidance=-1)
    assert isinstance(caught.value, mnistdiff.MnistDiffError)


def test_what_is_not_there_is_an_error_of_its_kind(model, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        mnistdiff.load(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="nowhere"):
        model.edit(tmp_path / "nowhere.png", 4)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        model.sample(7, steps=1).save(tmp_path / "file" / "seven.png")
    with pytest.raises(CheckpointError, match="folder"):
        mnistdiff.resume(tmp_path)
    (tmp_path / "settings.json").touch()
    (tmp_path / "inference_samples").symlink_to(tmp_path.parent)
    with pytest.raises(StorageError, match="link"):
        model.sample(7, steps=1).save(tmp_path / "inference_samples")


def test_an_image_is_read_alike_from_an_array_a_pil_image_and_a_file(model, tmp_path):
    page = np.full((90, 70), 230, np.uint8)
    page[20:70, 30:38] = 20  # a dark 1 on light paper
    colours = np.stack([page] * 3, axis=2)
    Image.fromarray(page).save(tmp_path / "page.png")
    sources = [page, colours, Image.fromarray(colours), Image.fromarray(page).convert("P"), tmp_path / "page.png"]
    sources += [str(tmp_path / "page.png"), (tmp_path / "page.png").read_bytes()]
    edited = [model.edit(source, 1, seed=0, steps=1).array for source in sources]
    assert all(np.array_equal(each, edited[0]) for each in edited)
    posteriors = model.classify([*sources[:2], *sources[4:]], evaluations=1)
    assert len(posteriors) == 5
    assert len(set(posteriors)) == 1
    assert posteriors[:1] == model.classify(page, evaluations=1) == model.classify(sources[5], evaluations=1)
    assert posteriors[:1] == model.classify(sources[6], evaluations=1)


def test_a_mask_is_a_side_an_array_or_an_image(model, nine):
    mask = np.zeros((28, 28), bool)
    mask[14:] = True
    known, *others = (
        model.inpaint(nine, each, 9, seed=0, steps=2).array for each in ("bottom", mask, Image.fromarray(mask))
    )
    assert all(np.array_equal(each, known) for each in others)
    assert np.array_equal(known[0, :14], nine[:14])
    assert not np.array_equal(known[0, 14:], nine[14:])


def test_classify_says_what_the_command_says(model, command, tmp_path, capsys):
    images = model.sample([4, 6], seed=0)
    images.save(tmp_path)
    assert app.run(["classify", "digit_4_0.png", "digit_6_0.png", "--evaluations", "8", "--json"]) == 0
    result = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = model.classify(images, evaluations=8)
    assert [each.label for each in found] == [each["digit"] for each in result] == [4, 6]
    assert np.allclose([each.probabilities for each in found], [each["probabilities"] for each in result], atol=1e-6)


def test_evaluate_reports_what_the_command_reports(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert app.run(["evaluate", "--n", "10", "--seed", "3", "--steps", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    report = json.loads(mnistdiff.evaluate(model, n=10, seed=3, steps=1).model_dump_json())
    for each in (result, report):
        del each["seconds"], each["images_per_second"]
    assert report == result


def test_bits_per_dim_reports_what_the_command_reports(tiny_run, capsys):
    assert (
        app.run(f"evaluate {tiny_run} --bits-per-dim --split train -n 10 --evaluations 4 --seed 3 --json".split()) == 0
    )
    result = json.loads(capsys.readouterr().out)
    model = mnistdiff.load(tiny_run)
    report = json.loads(mnistdiff.bits_per_dim(model, split="train", n=10, evaluations=4, seed=3).model_dump_json())
    for each in (result, report):
        del each["seconds"]
    assert report == result


def test_progress_is_shown_on_stderr_or_handed_to_a_function(model, capfd):
    model.sample(7, steps=3, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.split(r"[\r\n]+", err.strip())[-1] == "sampling 3/3"
    seen = []
    model.interpolate(1, 2, frames=2, steps=3, progress=seen.append)
    assert [(each.done, each.total) for each in seen] == [(1, 3), (2, 3), (3, 3)]
    assert capfd.readouterr() == ("", "")


def test_a_caller_sees_every_step_and_gets_images_as_they_are_finished(model):
    states, specs = [], [SampleSpec(7, seed) for seed in range(3)]
    work = model.sampling(specs, model.sample_settings(steps=2), on_step=states.append)
    samples = [each for progress in work for each in progress.results]
    assert np.array_equal([each.pixels for each in samples], model.sample(7, 3, seed=0, steps=2))
    assert [state.x_t.shape for state in states] == [(3, 1, 28, 28)] * 2


def test_a_training_from_python_gives_the_bits_of_the_command(tiny_run, tiny_toml, tmp_path):
    """And so does one that is stopped and resumed."""
    started, *_ = events = list(
        mnistdiff.train(
            config=tiny_toml, max_steps=45, run_dir=tmp_path / "run", stop=iter([False] * 6 + [True]).__next__
        )
    )
    assert isinstance(started, Started)
    assert isinstance(events[-1], Finished)
    assert not events[-1].complete
    *_, finished = mnistdiff.resume(tmp_path / "run")
    assert finished.complete
    ours, theirs = (
        read_checkpoint(run / "diffusion_checkpoint.safetensors").tensors for run in (tmp_path / "run", tiny_run)
    )
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_keywords_override_the_file_and_no_variable_is_read(tiny_toml, tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_LR", "0.5")
    monkeypatch.setenv("MNISTDIFF_SEED", "7")
    started = next(mnistdiff.train(config=tiny_toml, timesteps=20, max_steps=1, run_dir=tmp_path / "run"))
    assert (started.settings.timesteps, started.settings.channels) == (20, (8,))
    assert (started.settings.lr, started.settings.seed) == (3e-3, 0)


def test_the_typed_settings_are_those_of_the_sampler():
    assert set(typing.get_type_hints(SampleOptions)) == set(SampleSettings.model_fields) - {"weights"}
    assert set(typing.get_type_hints(InpaintOptions)) < set(typing.get_type_hints(SampleOptions))


@pytest.mark.parametrize("name", mnistdiff.__all__)
def test_every_public_function_is_documented_and_typed(name):
    entry = getattr(mnistdiff, name)
    methods = {each for each in vars(entry) if not each.startswith("_")} if isinstance(entry, type) else set()
    for member in filter(callable, [getattr(entry, each) for each in methods] or [entry]):
        assert member.__doc__, member
        assert isinstance(member, type) or "return" in member.__annotations__, member


class Quick:
    """The package, whose trainings and evaluations are checked as they are, and then made short."""

    def __init__(self, tiny_toml):
        self._toml = tiny_toml

    def __getattr__(self, name):
        return getattr(mnistdiff, name)

    def train(self, **settings):
        mnistdiff.train(**settings)
        return mnistdiff.train(config=self._toml, max_steps=2, run_dir=settings["run_dir"])

    def evaluate(self, model, *, n):
        del n
        return mnistdiff.evaluate(model, n=10, steps=1)


def few(model, given):
    """Two steps, where there may be as many."""
    own = model.settings.distillation is not None and "steps" not in given
    return {} if own else {"steps": min(given.get("steps", 2), 2)}


def test_the_examples_of_the_page_run_in_their_order(tiny_toml, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mnistdiff", Quick(tiny_toml))
    whole = mnistdiff.Model.sample_settings
    monkeypatch.setattr(
        mnistdiff.Model, "sample_settings", lambda model, **given: whole(model, **given | few(model, given))
    )
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), names)
    assert len(examples) >= 10
    assert "`steps` 0" in capsys.readouterr().out
    assert {"sevens.png", "sevens.npz", "drawn", "morph.gif", "strip.png", "runs"} <= {p.name for p in Path().iterdir()}
    assert names["mine"].info.step == 2


def test_the_page_names_every_setting_and_its_default():
    rows = re.findall(r"^\| `(\w+)` \|.*\| `?\(?([\w.]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    defaults = {name: SampleSettings.model_fields[name].default for name in typing.get_type_hints(SampleOptions)}
    defaults["guidance_interval"] = defaults["guidance_interval"].start
    result = {name: default for name, default in rows if name in defaults}
    assert result == {
        name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in defaults.items()
    }


@pytest.mark.parametrize("path", ["~no-such-user/x.png", "a\0b.png", "a\ud800b.png"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("source", lambda model, path: mnistdiff.load(path)),
        ("source", lambda model, path: mnistdiff.resume(path)),
        ("source", lambda model, path: mnistdiff.inspect(path)),
        ("folder", lambda model, path: mnistdiff.list_runs(path)),
        ("config", lambda model, path: mnistdiff.train(config=path)),
        ("image", lambda model, path: model.edit(path, digit=4)),
        ("path", lambda model, path: model.sample(7, seed=0, steps=1).save(path)),
    ],
)
def test_a_path_that_no_file_system_knows_is_an_error_that_names_the_argument(name, call, path):
    with pytest.raises(mnistdiff.MnistDiffError, match=f"`{name}`"):
        call(mnistdiff.load(), path)


def test_a_distillation_is_a_training_as_any_other(tiny_run, tmp_path):
    events = list(
        mnistdiff.distill(
            tiny_run, 2, sampling={"steps": 4}, max_steps=2, batch_size=8, run_dir=tmp_path / "student", sample_every=0
        )
    )
    assert events[-1].complete
    student = mnistdiff.load(tmp_path / "student")
    assert student.settings.distillation.teacher == mnistdiff.load(tiny_run).sha256
    assert student.sample_settings().steps == 2
    with pytest.raises(mnistdiff.MnistDiffError, match="`steps`"):
        mnistdiff.distill(tiny_run, 0)
