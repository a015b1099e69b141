"""Which value a setting has, of those that a preset, a file, variables and flags give."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.errors import SettingsError
from mnistdiff.preset_table import PRESETS
from mnistdiff.presets import resolve
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import read_settings_file

FILE, FLAGS = "run.toml", "command line"
ORIGINS = [FILE, lambda name: f"MNISTDIFF_{name.upper()}", FLAGS]
ENDS = {"epochs": (3, 4, 5), "max_steps": (30, 40, 50), "max_minutes": (6.0, 7.0, 8.0)}
SUBSETS = [set(names) for count in range(4) for names in itertools.combinations(ENDS, count)]


def origin(layer, name):
    return ORIGINS[layer] if isinstance(ORIGINS[layer], str) else ORIGINS[layer](name)


def saved_settings(preset, **changes):
    """What the ``settings.json`` of a run of this preset holds."""
    return json.loads(resolve([(FLAGS, {"preset": preset, **changes})]).train.model_dump_json())


@pytest.mark.parametrize("preset", PRESETS)
def test_the_strongest_layer_that_ends_the_run_decides_how(preset):
    """Every way to spread epochs, steps and minutes over file, variables and flags."""
    for given_ in itertools.product(SUBSETS, repeat=3):
        layers = [(ORIGINS[layer], {name: ENDS[name][layer] for name in names}) for layer, names in enumerate(given_)]
        layers[0][1]["preset"] = preset
        decides = max((layer for layer, names in enumerate(given_) if names), default=None)
        ends = given_[decides] if decides is not None else set()
        if {"max_steps", "max_minutes"} <= ends:
            with pytest.raises(SettingsError) as refused:
                resolve(layers)
            for name in ("max_steps", "max_minutes"):
                assert f"`{name}` ({origin(decides, name)})" in refused.value.message
            continue
        found = resolve(layers)
        for name, value in (("max_steps", found.train.max_steps), ("max_minutes", found.machine.max_minutes)):
            default = PRESETS[preset].get(name) if decides is None else None
            assert value == (ENDS[name][decides] if name in ends else default)
            if name in ends or (decides is not None and any(name in names for names in given_)):
                assert found.origins[name] in {origin(decides, end) for end in ends}
        last = max((layer for layer, names in enumerate(given_) if "epochs" in names), default=None)
        usual = PRESETS[preset].get("epochs", TrainSettings().epochs)
        assert found.train.epochs == (usual if last is None else ENDS["epochs"][last])
        assert found.origins["epochs"] == (f"preset {preset}" if last is None else origin(last, "epochs"))
        assert found.epochs_yield == (bool(ends) and "epochs" not in ends)


@settings(deadline=None)
@given(
    st.lists(st.sets(st.sampled_from([*TrainSettings.model_fields, "max_minutes", "run_dir"])), min_size=3, max_size=3)
)
def test_a_null_is_no_value(nulls):
    layers = [(FILE, {"preset": "tiny", "lr": 0.1}), ("variables", {"epochs": 3}), (FLAGS, {"seed": 2})]
    with_nulls = [(name, {**dict.fromkeys(null), **values}) for (name, values), null in zip(layers, nulls, strict=True)]
    assert resolve(with_nulls) == resolve(layers)


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize(("own", "chosen"), [*itertools.product(PRESETS, PRESETS)])
def test_a_preset_by_variable_or_flag_replaces_that_of_the_file_and_what_it_took_from_it(own, chosen, layer):
    changes = {"lr": 0.25, "seed": 9, "up_blocks": [3]}
    saved = {**saved_settings(own), **changes}
    found = resolve([(FILE, saved), (ORIGINS[layer], {"preset": chosen})])
    assert found.train == resolve([(FLAGS, {"preset": chosen, **changes})]).train
    assert {found.origins[name] for name in changes} == {FILE}
    assert found.origins["preset"] == origin(layer, "preset")
    if own == chosen:
        assert found.notices == ()
    else:
        assert found.origins["channels"] == f"preset {chosen}"
        [notice] = found.notices
        assert f"preset {chosen} ({origin(layer, 'preset')})" in notice
        assert f"preset {own} of {FILE}" in notice


def test_what_a_variable_sets_stays_though_a_preset_has_the_same_value():
    variables = {"preset": "tiny", "embedding": PRESETS["tiny"]["embedding"]}
    found = resolve([(ORIGINS[1], variables), (FLAGS, {"preset": "base"})])
    assert (found.train.embedding, found.origins["embedding"]) == (32, "MNISTDIFF_EMBEDDING")


def test_what_is_set_in_a_file_without_a_preset_stays_though_a_preset_has_the_same_value():
    found = resolve([(FILE, {"embedding": 128}), (FLAGS, {"preset": "tiny"})])
    assert (found.train.embedding, found.origins["embedding"]) == (128, FILE)


@settings(deadline=None)
@given(
    st.sampled_from([*PRESETS]),
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 10**6),
            "max_steps": st.integers(1, 10**9),
            "lr": st.floats(1e-9, 1e9),
            "muon_lr": st.floats(1e-9, 1e9),
            "optimizer": st.sampled_from(["adamw", "muon"]),
            "seed": st.integers(0, 2**32 - 1),
            "dataset": st.sampled_from(["mnist", "mnist-5k"]),
            "channels": st.sampled_from([(8,), (8, 16)]),
        },
    ),
)
def test_the_settings_of_any_run_are_a_settings_file_that_gives_the_same_run(tmp_path_factory, preset, changes):
    train = resolve([(FLAGS, {"preset": preset, "up_blocks": (1,), "down_blocks": (1,), **changes})]).train
    path = tmp_path_factory.mktemp("run") / "settings.json"
    path.write_text(train.model_dump_json())
    found = resolve([(str(path), read_settings_file(path))])
    assert found.train == train
    assert not found.epochs_yield
    assert {origin_ for name, origin_ in found.origins.items() if getattr(train, name, None) is not None} == {str(path)}


@pytest.mark.parametrize("name", ["backend", *SampleSettings.model_fields])
def test_a_setting_of_sampling_is_refused_in_a_training(name):
    with pytest.raises(SettingsError, match=f"^run.toml: '{name}' is a setting of sampling") as refused:
        resolve([(FILE, {name: "auto"})])
    assert f"`{name}`" in refused.value.hint


@pytest.mark.parametrize("path", ["run\0s", "~no-such-user-here/x", "\ud800"], ids=["nul", "user", "surrogate"])
@pytest.mark.parametrize("name", ["run_dir", "data_dir"])
def test_a_path_that_the_file_system_cannot_be_asked_for_is_refused(name, path):
    with pytest.raises(SettingsError, match=f"^run.toml: {name} = .*(NUL|home|surrogate)"):
        resolve([(FILE, {name: path})])


@pytest.mark.parametrize("value", [16**6000, -(16**6000), [16**6000], {"a": [1] * 10_000}, "x" * 10**6], ids=range(5))
@pytest.mark.parametrize(
    "name", ["epochs", "lr", "preset", "channels", "run_dir", "no_such", "x" * 10**4], ids=lambda name: name[:9]
)
def test_a_huge_value_is_told_in_a_short_sentence(name, value):
    if (name, value) == ("run_dir", "x" * 10**6):
        return  # a path; the file system has its say later
    with pytest.raises(SettingsError) as refused:
        resolve([(FILE, {name: value})])
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("value", [[0, 10**400], ["0", "1" * 400], [10**400, 1], 10**400])
def test_an_interval_beyond_every_float_is_refused(value):
    with pytest.raises(ValueError, match=r"FROM:TO"):
        SampleSettings(guidance_interval=value)
