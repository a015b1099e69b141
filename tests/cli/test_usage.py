"""What is refused before any work: exit code 2, one sentence with the value, nothing on stdout."""

import json

import pytest

from mnistdiff.cli.registry import flags_of, with_flags


def refused(done, code, *fragments):
    assert done.returncode == code, done.stderr.decode()
    assert done.stdout == b""
    message = done.stderr.decode()
    assert "Traceback" not in message
    assert [fragment for fragment in fragments if fragment not in message] == []
    return message


WRONG_OPTIONS = [
    ("trian", "'trian'", "'train'"),
    ("train --epocs 3", "--epocs", "--epochs"),
    ("sample --guidence 3", "--guidence", "--guidance"),
    ("train --epochs 0", "--epochs", "'0'"),
    ("train --epochs 1.5", "--epochs", "'1.5'"),
    ("train --lr -0.25", "--lr", "-0.25"),
    ("train --lr nan", "--lr", "nan"),
    ("train --lr inf", "--lr", "inf"),
    ("train --ema-decay 1", "--ema-decay", "'1'"),
    ("train --batch-size 60001", "60001"),
    ("train --seed 4294967296", "--seed", "4294967296"),
    ("train --preset huge", "--preset", "huge", "tiny"),
    ("train --device tpu", "--device", "tpu", "cpu"),
    ("train --force=maybe", "--force"),
    ("train surplus", "surplus"),
    ("resume --max-steps 0", "--max-steps", "'0'"),
    ("resume --lr 1", "--lr"),
    ("sample --digit 12", "--digit", "'12'", "9"),
    ("sample --digit 7-3", "'7-3'"),
    ("sample --digit 1,,2", "''"),
    ("sample --digit ٣", "'٣'"),
    ("sample --n 0", "--n", "0"),
    ("sample --n 1000001", "--n", "1000001"),
    ("sample --seed -1", "--seed", "-1"),
    ("sample --steps 0", "--steps", "'0'"),
    ("sample --eta 2", "--eta", "'2'"),
    ("sample --guidance 101", "--guidance", "'101'"),
    ("sample --guidance-interval 0.9:0.1", "--guidance-interval", "'0.9:0.1'", "0.2:1"),
    ("sample --sampler euler", "--sampler", "euler", "ddim"),
    ("sample --weights best", "--weights", "best", "raw"),
    ("sample --seed 4294967295 --n 2 --digit 1", "4294967295", "--seed"),
    ("sample -o picture.jpg", "picture.jpg", "PNG"),
    ("sample -o - --json", "-o -", "--json"),
    ("grid -o folder/", "folder/"),
    ("grid one two", "one", "two"),
    ("inspect one two", "two"),
]


@pytest.mark.parametrize(("line", "fragments"), [(line, fragments) for line, *fragments in WRONG_OPTIONS])
def test_a_wrong_option_is_named_with_its_value(invoke, tmp_path, line, fragments):
    message = refused(invoke(*line.split()), 2, *fragments)
    assert len(message.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_in_a_process_of_its_own(cli):
    message = refused(cli("train", "--epocs", 3), 2, "error: ", "--epocs", "--epochs", "mnistdiff train --help")
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("epocs = 3", ["my.toml", "'epocs'", "'epochs'"]),
        ("epochs = 0", ["my.toml", "epochs", "0"]),
        ('lr = "fast"', ["my.toml", "lr", "fast"]),
        ("lr = nan", ["my.toml", "lr", "nan"]),
        ("epochs = true", ["my.toml", "epochs", "True"]),
        ("channels = [3]", ["my.toml", "channels", "3"]),
        ("channels = [8, 8, 8]\npatch_size = 4", ["28"]),
        ("beta_start = 0.5\nbeta_end = 0.1", ["beta_end", "0.1", "0.5"]),
        ("[training]\nepochs = 3", ["my.toml", "'training'"]),
        ('preset = "huge"', ["my.toml", "huge", "tiny"]),
        ("preset = [1]", ["my.toml"]),
        ("epochs 3", ["my.toml", "not valid", "epochs = 20"]),
        ('steps = 20\nguidance = 2\nsampler = "ddim"', ["my.toml", "'steps'"]),
    ],
)
def test_a_wrong_settings_file_is_named_with_the_key(invoke, tmp_path, text, fragments):
    (tmp_path / "my.toml").write_text(text)
    refused(invoke("train", "--config", "my.toml", "--dry-run"), 2, *fragments)


def test_a_settings_file_that_is_not_there_is_named(invoke):
    refused(invoke("train", "--config", "missing.toml", "--dry-run"), 2, "missing.toml", "No such file")


def test_a_wrong_value_in_the_environment_is_named(invoke, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_EPOCHS", "soon")
    refused(invoke("train", "--dry-run"), 2, "'soon'", "MNISTDIFF_EPOCHS")


def test_a_device_that_is_not_there_is_named(invoke, tiny_run, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for line in (["train"], ["sample", "--checkpoint", tiny_run], ["resume", tiny_run]):
        refused(invoke(*line, "--device", "cuda"), 2, "--device cuda", "cpu")


@pytest.mark.parametrize("command", ["sample", "grid"])
def test_more_steps_than_the_model_knows_are_refused(invoke, tiny_run, tmp_path, command):
    source = ["--checkpoint", tiny_run] if command == "sample" else [tiny_run]
    refused_ = invoke(command, *source, "--steps", 11, "--quiet")
    refused(refused_, 2, "--steps 11", "the 10", "1 to 10")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_there_is_not_overwritten_and_resume_is_offered(invoke, run_copy, tiny_toml):
    before = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if path.is_file()}
    done = invoke("train", "--config", tiny_toml, "--run-dir", "run", "--quiet")
    refused(done, 2, "run is not empty", "mnistdiff resume run", "--force")
    assert {path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if path.is_file()} == before


def test_an_end_before_what_is_done_is_refused(invoke, run_copy):
    refused(invoke("resume", run_copy, "--max-steps", 44, "--quiet"), 2, "step 44", "step 45")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("train --epochs 0 --json", 2),
        ("sample --json --digit 12", 2),
        ("trian --json", 2),
        ("sample --checkpoint missing.safetensors --json", 3),
        ("grid missing.safetensors --json", 3),
        ("resume missing.safetensors --json", 3),
        ("resume --json", 3),
        ("inspect missing.safetensors --json", 3),
        ("train --dataset mnist --data-dir nowhere --run-dir run --json", 4),
        ("grid missing.png --json", 5),
    ],
)
def test_with_json_an_error_is_one_object_on_stderr(invoke, line, code):
    done = invoke(*line.split())
    assert (done.returncode, done.stdout) == (code, b"")
    content = json.loads(done.stderr)
    assert content.keys() == {"error"}
    assert content["error"].keys() >= {"code", "message", "hint"}
    assert content["error"]["code"] == code
    assert content["error"]["message"]


def test_a_field_in_an_error_is_shown_as_the_flag_of_the_command(invoke):
    text = invoke("train", "--max-steps", 5, "--max-minutes", 3)
    message = refused(text, 2, "--max-steps", "--max-minutes")
    assert "`" not in message
    as_json = json.loads(invoke("train", "--max-steps", 5, "--max-minutes", 3, "--json").stderr)["error"]
    assert "--max-minutes" in as_json["message"]
    assert as_json["field"] in ("max_steps", "max_minutes")


def test_a_field_without_a_flag_stays_as_it_is():
    flags = flags_of("sample")
    assert with_flags("`steps` 11, `timesteps` 10", flags) == "--steps 11, `timesteps` 10"
