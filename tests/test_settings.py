import json
import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import InferenceSettings, MachineSettings
from mnistdiff.pictures import PictureSettings
from mnistdiff.preset_table import PRESETS
from mnistdiff.presets import resolve
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import read_settings_file

MODELS = (TrainSettings, MachineSettings, PictureSettings)
CHANGED = {"preset": "tiny", "epochs": 7, "lr": 0.25, "channels": (12, 16), "max_steps": 9, "prediction": "epsilon"}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_the_base_preset_is_the_defaults():
    execution = {"shards": "auto", "precision": "auto", "compile": "auto"}
    assert resolve([]).train == TrainSettings(**execution) == resolve([("x", {"preset": "base"})]).train


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_changes_only_what_it_says(name):
    found = resolve([("somewhere", {"preset": name})]).train.model_dump()
    assert found == {**TrainSettings().model_dump(), "preset": name, **PRESETS[name]}


def test_a_stronger_layer_wins_over_a_weaker_and_each_over_the_preset():
    layers = [
        ("run.toml", {"preset": "tiny", "epochs": 1, "lr": 0.1, "seed": 1}),
        ("environment", {"lr": 0.2, "seed": 2}),
        ("command line", {"seed": 3, "device": "cpu"}),
    ]
    found = resolve(layers)
    train = found.train
    assert (train.epochs, train.lr, train.seed, train.channels, train.batch_size) == (1, 0.1 * 2, 3, (8, 24), 128)
    assert found.machine.device == "cpu"
    names = ("preset", "epochs", "lr", "seed", "device", "channels", "batch_size", "data_dir")
    assert [found.origins[name] for name in names] == [
        "run.toml",
        "run.toml",
        "environment",
        "command line",
        "command line",
        "preset tiny",
        "preset tiny",
        "default",
    ]
    assert found.origins.keys() == {name for model in MODELS for name in model.model_fields}


def test_a_preset_chosen_late_leaves_what_was_set_before_it():
    found = resolve([("run.toml", {"lr": 0.1}), ("command line", {"preset": "tiny"})])
    assert (found.train.lr, found.origins["lr"], found.train.embedding) == (0.1, "run.toml", 32)


def test_a_layer_may_name_the_value_that_the_default_has():
    found = resolve([("run.toml", {"preset": "tiny", "embedding": 128})])
    assert (found.train.embedding, found.origins["embedding"]) == (128, "run.toml")


@pytest.mark.parametrize(
    ("name", "hint"), [("epoch", "'epochs'"), ("batchsize", "'batch_size'"), ("zzz", "The settings are: preset,")]
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name, hint):
    with pytest.raises(SettingsError, match=f"^run.toml: unknown setting '{name}'$") as refused:
        resolve([("environment", {"epochs": 3}), ("run.toml", {name: 3})])
    assert hint in refused.value.hint


@pytest.mark.parametrize("preset", ["huge", "", 7, ["tiny"], {"name": "tiny"}])
def test_an_unknown_preset_is_refused_with_those_that_exist(preset):
    with pytest.raises(SettingsError, match="^run.toml: unknown preset ") as refused:
        resolve([("run.toml", {"preset": preset})])
    assert "base, fast, best, tiny" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", "many"),
        ("epochs", 2.5),
        ("max_steps", 0),
        ("batch_size", 0),
        ("lr", 0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("weight_decay", -1),
        ("grad_clip", -0.1),
        ("ema_decay", 1),
        ("label_dropout", 1.1),
        ("seed", -1),
        ("seed", 2**32),
        ("timesteps", 1),
        ("beta_schedule", "sigmoid"),
        ("beta_start", 0),
        ("beta_end", 1),
        ("prediction", "x_0"),
        ("patch_size", 3),
        ("optimizer", "sgd"),
        ("muon_lr", 0),
        ("lr_schedule", "step"),
        ("warmup_steps", -1),
        ("max_minutes", 0),
        ("embedding", 3),
        ("log_every", 0),
        ("sample_every", -1),
        ("checkpoint_every", -1),
        ("save_every", 0),
        ("dataset", "cifar"),
        ("device", "tpu"),
        ("data_dir", 7),
        ("epochs", True),
        ("patch_size", True),
        ("data_dir", False),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name_itself_and_where_it_came_from(name, value):
    with pytest.raises(SettingsError) as refused:
        resolve([("run.toml", {name: value})])
    assert refused.value.message.startswith(f"run.toml: {name} = '{value}' ")
    assert refused.value.hint


@pytest.mark.parametrize("channels", [(), (6,), (4, 260), (0,), (4, 4, 4, 4), "48"])
def test_channels_that_make_no_network_are_refused(channels):
    with pytest.raises(SettingsError, match="^run.toml: channels"):
        resolve([("run.toml", {"channels": channels})])


@pytest.mark.parametrize("patch_size", [1, 2, 4])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_network_whose_halves_do_not_fit_the_image_is_refused(patch_size, levels):
    fits = 28 % (patch_size * 2 ** (levels - 1)) == 0
    values = {"patch_size": patch_size, "channels": (4,) * levels}
    if fits:
        assert TrainSettings(**values).channels == (4,) * levels
    else:
        with pytest.raises(SettingsError, match="28 is not a multiple"):
            resolve([("run.toml", values)])


def test_betas_that_fall_are_refused():
    with pytest.raises(SettingsError, match="beta_end 0.01 is smaller than beta_start 0.5"):
        resolve([("run.toml", {"beta_start": 0.5, "beta_end": 0.01})])


def test_settings_cannot_be_changed_after_they_were_checked():
    with pytest.raises(ValidationError, match="frozen"):
        TrainSettings().lr = 3.0


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 100))
def test_epochs_and_images_are_those_of_the_batches_really_shown(num_images, batch_size, step):
    train = TrainSettings(batch_size=batch_size)
    shown = [len(batch_indices(seed=0, step=k, num_images=num_images, batch_size=batch_size)) for k in range(step)]
    assert train.images_seen(step, num_images) == sum(shown)
    assert train.epochs_done(step, num_images) == sum(shown) // num_images
    assert train.steps_per_epoch(num_images) == -(-num_images // batch_size)


@pytest.mark.parametrize(("max_steps", "total"), [(None, 12), (5, 5), (12, 12), (99, 12)])
def test_a_run_ends_with_its_epochs_or_its_steps_whichever_comes_first(max_steps, total):
    train = TrainSettings(epochs=4, batch_size=10, max_steps=max_steps)
    assert train.total_steps(25) == total


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_settings_file_gives_back_what_was_written(tmp_path, suffix):
    text = (
        json.dumps(CHANGED)
        if suffix == "json"
        else "\n".join(f"{name} = {json.dumps(value)}" for name, value in CHANGED.items())
    )
    values = read_settings_file(written(tmp_path / f"settings.{suffix}", text))
    assert resolve([("file", values)]).train == TrainSettings(**{**PRESETS["tiny"], **CHANGED})


@pytest.mark.parametrize("name", PRESETS)
def test_the_settings_of_a_run_are_a_settings_file_that_gives_the_same_run(tmp_path, name):
    train = resolve([("x", {"preset": name, "lr": 0.1 + 0.2, "max_steps": 3})]).train
    path = written(tmp_path / "settings.json", train.model_dump_json())
    assert resolve([(str(path), read_settings_file(path))]).train == train


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", b"epochs: 20"),
        ("a.toml", b"epochs = 1\nepochs = 2"),
        ("a.toml", b"\xff\xfe="),
        ("a.toml", b"x = " + b"[" * 50_000),
        ("a.json", b"{'epochs': 20}"),
        ("a.json", b'{"epochs": 2'),
        ("a.json", b""),
        ("a.json", b"[" * 100_000),
        ("a.json", b"\x80abc"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else value,
)
def test_a_malformed_settings_file_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=f"{name} is not valid: "):
        read_settings_file(tmp_path / name)


@pytest.mark.parametrize(("text", "kind"), [("[1, 2]", "list"), ("7", "int"), ("null", "NoneType")])
def test_a_settings_file_that_holds_no_names_is_refused(tmp_path, text, kind):
    with pytest.raises(SettingsError, match=f"should hold names and values, not a {kind}"):
        read_settings_file(written(tmp_path / "a.json", text))


def test_a_settings_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot read the settings file .*missing.toml: No such file"):
        read_settings_file(tmp_path / "missing.toml")
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        read_settings_file(tmp_path)


def test_a_malformed_toml_file_is_told_with_its_line(tmp_path):
    with pytest.raises(SettingsError, match="line 2") as refused:
        read_settings_file(written(tmp_path / "a.toml", "lr = 1\nepochs: 20\n"))
    assert tomllib.loads(refused.value.hint.partition(": ")[2]) == {"epochs": 20}


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert resolve([("x", {"run_dir": "~/runs"})]).machine.run_dir == Path("/somewhere/runs")


def test_a_model_of_few_timesteps_is_by_default_walked_in_as_many():
    few = TrainSettings(timesteps=7)
    assert SampleSettings.for_model(TrainSettings(), images_seen=10**5).steps == SampleSettings().steps == 10
    assert SampleSettings.for_model(TrainSettings(), images_seen=10**6).steps == 20
    for images_seen in (10**5, 10**6):
        assert SampleSettings.for_model(few, images_seen=images_seen).steps == 7
        assert SampleSettings.for_model(few, {"steps": 9, "guidance": 0}, images_seen=images_seen).steps == 9


@pytest.mark.parametrize(("images_seen", "guidance"), [(0, 1.5), (99_999, 1.5), (100_000, 1.3), (499_999, 1.3)])
@pytest.mark.parametrize("planned", [{}, {"max_steps": 1}, {"epochs": 1}])
def test_a_model_of_few_images_is_guided_more_whatever_was_planned(images_seen, guidance, planned):
    model = TrainSettings(**planned)
    assert SampleSettings.for_model(model, images_seen=images_seen).guidance == guidance
    assert SampleSettings.for_model(model, {"guidance": 2}, images_seen=images_seen).guidance == 2


@pytest.mark.parametrize("images_seen", [500_000, 10**9])
def test_a_model_of_many_images_is_guided_in_an_interval_unless_a_scale_is_given(images_seen):
    def settings_with(**given):
        return SampleSettings.for_model(TrainSettings(), given, images_seen=images_seen)

    assert (settings_with().sampler, settings_with().guidance) == ("ddim", 1.7)
    assert settings_with().guidance_interval == (0.2, 0.6)
    assert settings_with(guidance=2) == SampleSettings(guidance=2)
    assert settings_with(guidance_interval="0:0.5").guidance_interval == (0, 0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"eta": 1.01},
        {"eta": -0.1},
        {"guidance": -1},
        {"guidance": math.nan},
        {"guidance_interval": "0.5:0.2"},
        {"guidance_interval": (0.5, 1.1)},
        {"guidance_interval": (0.1, 0.2, 0.3)},
        {"guidance_interval": "nan:1"},
        {"guidance_interval": 0.5},
        {"sampler": "euler"},
        {"x": 1},
    ],
)
def test_sampling_out_of_range_is_refused(changes):
    with pytest.raises(ValidationError):
        SampleSettings(**changes)


@pytest.mark.parametrize(("given", "read"), [("auto", "auto"), (1, 1), ("3", 3), (1024, 1024)])
def test_processes_are_a_number_or_chosen_by_the_program(given, read):
    assert InferenceSettings(processes=given).processes == read


@pytest.mark.parametrize("given", [0, -1, 1025, "0", "1025", "9" * 5000, "", "all", 1.5, True, None])
def test_other_numbers_of_processes_are_refused_in_one_sentence(given):
    with pytest.raises(ValidationError) as caught:
        InferenceSettings(processes=given)
    assert [error["loc"] for error in caught.value.errors()] == [("processes",)]


def test_an_interval_reads_as_it_is_typed():
    for typed, pair in (("0.2:1", (0.2, 1)), ("0:0.75", (0, 0.75)), ("0.5:0.5", (0.5, 0.5))):
        interval = SampleSettings(guidance_interval=typed).guidance_interval
        assert (interval, str(interval)) == (pair, typed)
        assert SampleSettings(guidance_interval=list(pair)).guidance_interval == interval


def test_the_preset_tiny_ends_after_as_many_steps_whatever_the_data_set():
    train = resolve([("command line", {"preset": "tiny"})]).train
    assert train.total_steps(60_000) == train.total_steps(5_000) == PRESETS["tiny"]["max_steps"]


def test_a_number_of_epochs_that_was_asked_for_is_not_cut_short_by_the_preset():
    train = resolve([("command line", {"preset": "tiny", "epochs": 7})]).train
    assert train.total_steps(60_000) == 7 * train.steps_per_epoch(60_000)
    both = resolve([("command line", {"preset": "tiny", "epochs": 7, "max_steps": 5})]).train
    assert both.total_steps(60_000) == 5


@pytest.mark.parametrize("given", [{"max_minutes": 5}, {"epochs": 3}])
def test_who_gives_a_time_or_epochs_does_not_want_the_end_of_the_preset(given):
    assert resolve([("command line", {"preset": "fast", **given})]).train.max_steps is None


def test_a_time_and_a_number_of_steps_do_not_go_together():
    with pytest.raises(SettingsError, match="max_minutes.*run.toml.*max_steps.*run.toml"):
        resolve([("run.toml", {"max_steps": 7, "max_minutes": 5})])


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, ((1, 1), (2, 2))), ({"down_blocks": (0, 3), "up_blocks": (1,)}, ((0, 3), (1, 1)))],
)
def test_one_number_of_blocks_is_that_of_every_level(given, expected):
    assert TrainSettings(channels=(8, 16), **given).blocks_by_level() == expected


@pytest.mark.parametrize("name", ["down_blocks", "up_blocks"])
def test_as_many_numbers_of_blocks_as_levels_or_one(name):
    with pytest.raises(SettingsError, match=rf"{name} \(1, 2, 3\) must be one number, or one for each of \(8, 16\)"):
        resolve([("run.toml", {"channels": (8, 16), name: (1, 2, 3)})])
