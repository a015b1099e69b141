"""Two options of a command either both act, or are refused with both named."""

import os
import re
import shutil

import pytest
from pairs import NOT_PAIRED, OPTIONS, ignored, options_of

from mnistdiff.cli import options
from mnistdiff.cli.registry import COMMANDS, load

SAMPLING = (
    "--guidance 3",
    "--guidance-interval 0:0.5",
    "--sampler ddim",
    "--steps 3",
    "--spacing even",
    "--weights raw",
)
DRAWING = (*SAMPLING, "--device cpu", "--backend torch")
NO_PICTURE = ("--digit 3", "--seed 1", "--sweep steps=1,2", "--over-time")
REFUSED = [
    *(
        ("sample", *pair)
        for pair in [
            ("--digit 7", "--digits 12"),
            ("--digit 7", "--balance mnist"),
            ("--digit 7", "--balance mnist", "--format csv"),
            ("--digits 12", "--balance mnist"),
            ("--digits 12", "--balance uniform"),
            ("--digits 12", "--seeds 1-3"),
            ("--seeds 1-3", "--balance mnist"),
            ("--seeds 1-3", "--seed 1"),
            ("--seeds 1-3", "-n 1"),
            ("--seeds 1-3", "--n 2"),
            ("--format npz", "--show"),
            ("--format csv", "--gif g.gif"),
            ("--format idx", "--film f.png"),
            ("--format idx", "-o -"),
            ("--json", "-o -"),
        ]
    ),
    *(
        (command, *pair)
        for command in ("sample", "edit x.png", "interpolate --from 1 --to 2", "grid", "evaluate")
        for pair in [
            ("--eta 0.5", "--sampler ddpm"),
            ("--eta 0", "--sampler dpmpp_2m"),
            ("--guidance-interval 0:0.5", "--guidance 1"),
            ("--guidance-interval 0:0.5", "-g 0"),
            ("--guidance 3", "--guidance-interval 0.5:0.5"),
            ("--spacing even", "--steps 1"),
            ("--backend onnx", "--device cuda"),
            ("--backend onnx", "--device mps"),
        ]
    ),
    ("inpaint x.png --mask top", "--guidance-interval 0:0.5", "--guidance 0.5"),
    ("inpaint x.png --mask top", "--rounds 3", "--steps 1"),
    ("classify x.png", "--backend onnx", "--device cuda"),
    ("interpolate --from 1 --to 2", "-o y.gif", "--film s.png"),
    *(("grid x.png", option) for option in (*DRAWING, *NO_PICTURE)),
    *(("grid", "--over-time", option) for option in (*DRAWING, "-n 3", "--digit 3", "--seed 1", "--sweep steps=1,2")),
    *(("grid", f"--sweep {name}", option) for name, option in [
        ("guidance=1,3", "--guidance 2"),
        ("steps=2,3", "--steps 4"),
        ("sampler=ddpm,dpmpp_2m", "--eta 1"),
        ("guidance=0,1", "--guidance-interval 0:0.5"),
        ("weights=ema,raw", "--weights raw"),
        ("eta=0,1", "--sampler ddpm"),
        ("spacing=even,trailing", "--steps 1"),
    ]),
    *(("evaluate", f"--by {name}", option) for name, option in [
        ("guidance=1,3", "--guidance 2"),
        ("sampler=ddpm,dpmpp_2m", "--eta 1"),
        ("guidance_interval=0:1,0:0.5", "--guidance 1"),
        ("steps=1,2", "--confusion"),
        ("steps=1,2", "--memorization"),
        ("steps=1,2", "--min-accuracy 9"),
        ("steps=1,2", "--max-fcd 0"),
    ]),
    *(("evaluate --bits-per-dim", "--bits-per-dim", option) for option in (
        *(*SAMPLING[:5], "--sampler ddim --eta 1", "--by steps=1,2", "--cas", "--memorization", "--confusion"),
        *("--min-accuracy 9", "--max-fcd 0", "--processes 2"),
    )),
    ("train --dry-run", "--max-minutes 1", "--max-steps 3"),
    ("train --dry-run", "--muon-lr 1", "--optimizer adamw"),
    ("train --dry-run", "--data-dir x", "--dataset mnist-5k"),
]  # fmt: skip
WITHOUT = [
    ("sample", "--view x_0", "--gif"),
    ("sample", "--view x_t", "--film"),
    ("edit x.png", "--view x_0", "--gif"),
    ("inpaint x.png --mask top", "--view x_0", "--gif"),
    ("sample", "--eta 0.5", "--sampler ddim"),
    ("evaluate", "--eta 0.5", "--sampler ddim"),
    ("grid", "--sweep eta=0,1", "--sampler ddim"),
    ("evaluate", "--by eta=0,1", "--sampler ddim"),
    ("evaluate", "--plot p.png", "--by"),
    ("evaluate", "--pairs p.png", "--memorization"),
    ("evaluate", "--split train", "--bits-per-dim"),
    ("evaluate", "--evaluations 9", "--bits-per-dim"),
    ("train --dry-run", "--muon-lr 1", "--optimizer"),
]
ACTING = [
    *("sample --eta 1 --sampler ddim", "sample --seed 1 -n 2 --digit 3", "sample --balance uniform --digit 3"),
    *("sample --digits 12 -n 2 --seed 3", "sample --seeds 1-2 --digit 3,4", "sample --guidance-interval 0.5:0.5"),
    *("sample --view x_t --gif g.gif", "sample --show -q -o -", "sample --show --json", "sample --json -q --force"),
    *("sample --balance mnist --seed 2", "sample --digit 3 --backend torch --device cpu --guidance 1"),
    *("grid --sweep sampler=ddim,ddpm --eta 1", "grid --sweep guidance=1,2 --guidance-interval 0:0.5"),
    *("grid x.png -n 3", "grid --over-time -o l.gif", "grid --sweep eta=0,1 --sampler ddim"),
    *("interpolate --from 1 --to 2 --film s.png --force", "train --epochs 3 --max-steps 7 --dry-run"),
    *("classify x.png --device cpu --backend torch --seed 3", "classify x.png y.png --weights raw"),
    *("train --epochs 3 --max-minutes 7 --dry-run", "train --muon-lr 1 --preset fast --dry-run"),
]
HARMLESS = {
    ("quiet", "json"),  # JSON is all that is said
    ("quiet", "over_time"),  # there is nothing to say
    ("confusion", "json"),  # JSON always holds the table
    ("backend", "format"),  # both backends draw the same pixels, and a set does not say by which
}


def named(option, message):
    """Whether an error names an option, in full or by its short name."""
    long = {"-o": "--output", "-n": "--n", "-g": "--guidance"}
    flag = option.split()[0]
    value = option.partition(" ")[2].partition("=")[0]
    return any(re.search(rf"{re.escape(name)}\b", message) for name in (flag, long.get(flag, flag))) or value in message


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("MNISTDIFF_DEVICE")


@pytest.mark.parametrize(("line", "pair"), [(line, pair) for line, *pair in REFUSED], ids=str)
def test_a_pair_that_cannot_both_act_is_refused_with_both_named(invoke, tmp_path, line, pair):
    words = " ".join([line, *pair]).split()
    done = invoke(*words)
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), message
    source = line.split()[1] if line.startswith("grid ") else ""
    for option in pair if len(pair) > 1 else (*pair, source):
        assert named(option, message) or option.startswith("--format csv"), (option, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("line", "option", "needed"), WITHOUT)
def test_an_option_that_needs_another_says_which(invoke, line, option, needed):
    done = invoke(*line.split(), *option.split())
    assert (done.returncode, done.stdout) == (2, b"")
    assert option.split()[0] in done.stderr.decode()
    assert needed in done.stderr.decode()


MODEL = {"sample": "-c nowhere", "interpolate": "-c nowhere", "grid": "nowhere", "evaluate": "nowhere"}


def refusal(invoke, line):
    """What a line says if it is refused for its options; the model or image that it names does not exist."""
    name, *words = line.split()
    missing = MODEL.get(name, "") if words[:1] not in (["x.png"], ["--over-time"]) else ""
    done = invoke(name, *missing.split(), *words)
    assert done.returncode in ({0} if name == "train" else {2, 3, 4, 5}), done.stderr
    return done.stderr.decode() if done.returncode == 2 else ""


@pytest.mark.parametrize("line", ACTING)
def test_a_pair_that_can_act_passes(invoke, line):
    assert refusal(invoke, line) == ""


@pytest.mark.parametrize("line", [
    *("train --dry-run", "resume", "sample", "grid", "interpolate --from 1 --to 2", "edit x.png"),
    *("inpaint x.png --mask top", "classify x.png y.jpg", "evaluate", "export nowhere", "report nowhere"),
    *("reproduce x.png", "inspect x.png", "train-classifier --architecture conv -o x"),
])  # fmt: skip
def test_every_option_is_taken_alone(invoke, line):
    for option in options_of(line.split()[0]).values():
        assert refusal(invoke, " ".join([line, *option])) == "", option


def test_spacing_beside_all_the_timesteps_of_a_model_is_refused(invoke, tiny_run):
    done = invoke("sample", "-c", tiny_run, "--spacing", "even", "--steps", 10)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--spacing" in done.stderr
    assert b"--steps 10" in done.stderr
    assert invoke("sample", "-c", tiny_run, "-d", 1, "--spacing", "even", "--steps", 9).returncode == 0


@pytest.mark.parametrize("typed", ["--backend onnx", "--device cuda"])
def test_a_variable_gives_way_to_an_option_that_it_cannot_act_beside(invoke, monkeypatch, typed):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("MNISTDIFF_DEVICE", "cuda")
    monkeypatch.setenv("MNISTDIFF_BACKEND", "onnx")
    for command in ("sample", "grid", "evaluate"):
        assert b"MNISTDIFF" not in invoke(command, "--eta", 1).stderr
        done = invoke(command)  # both are variables
        assert done.returncode == 2
        assert b"--backend onnx" in done.stderr
        assert b"--device cuda" in done.stderr
    done = invoke("sample", "-d", 7, *typed.split())
    if typed == "--backend onnx":
        assert done.returncode == 0
    else:
        assert (done.returncode, b"no cuda device" in done.stderr) == (2, True)


def test_evaluate_with_onnx_runtime_works_beside_a_gpu(invoke, tiny_run, monkeypatch):
    """The device that is found is no device that was asked for."""
    import torch

    from mnistdiff.engine.network import device

    monkeypatch.setattr(device, "resolve_device", lambda name: torch.device("cuda"))
    done = invoke("evaluate", "-n", 10, "--steps", 1, "--backend", "onnx", "--json")
    assert done.returncode == 0, done.stderr.decode()


def test_a_labelled_set_goes_where_it_is_named_to_go(invoke, tiny_run, tmp_path):
    line = ["sample", "-c", tiny_run, "-d", 1, "-n", 7, "--format", "idx", "-o", "inference_samples/", "-q"]
    done = invoke(*line)
    assert (done.returncode, done.stdout) == (0, b"inference_samples\n")


def test_advice_names_only_options_of_the_command(invoke, tiny_run, tmp_path):
    for name in ("x.png", "x.html", "x.onnx", "x.gif", "x.json", "digit_1_5.png"):
        (tmp_path / name).write_text("mine")
    for line in (
        *("report RUN -o x.html", "export RUN -o x.onnx", "grid RUN -o x.png", "interpolate --from 1 --to 2 -o x.gif"),
        *("interpolate --from 1 --to 2 --film x.png", "sample -c RUN -o x.png", "sample -c RUN --gif x.gif"),
        *("sample -c RUN -d 1 --seed 5 -o .", "evaluate RUN -o x.json", "grid RUN --over-time -o x.gif"),
        "train-classifier --architecture conv -o x.onnx",
    ):
        words = [tiny_run if word == "RUN" else word for word in line.split()]
        done = invoke(*words)
        assert done.returncode == 2
        advice = done.stderr.decode().splitlines()[-1]
        flags = {flag for parameter in load(words[0]).params for flag in parameter.opts}
        assert "--force" in advice
        assert set(re.findall(r"(?<!\w)--?[a-z][a-z-]*", advice)) <= flags, advice


def test_what_is_no_file_is_not_replaced(invoke, tiny_run, tmp_path):
    for name in ("x.png", "x.json", "x.onnx", "x.npz"):
        os.mkfifo(tmp_path / name)
    for line in (
        *("sample -c RUN -d 1 -o x.png", "grid RUN -o x.png", "evaluate RUN -o x.json", "export RUN -o x.onnx"),
        *("sample -c RUN -d 1 --film x.png", "train-classifier --architecture conv -o x.png"),
        "sample -c RUN --format npz -o x.npz",
    ):
        done = invoke(*(tiny_run if word == "RUN" else word for word in line.split()), "--force")
        assert (done.returncode, done.stdout) == (2, b""), line
        assert b"already there" in done.stderr
    assert all(path.is_fifo() for path in tmp_path.iterdir())


def test_every_option_is_tried_beside_every_other():
    for command in COMMANDS:
        for parameter in load(command).params:
            if parameter.param_type_name == "option" and parameter.name not in ("help", "output"):
                assert parameter.name in OPTIONS or parameter.name in NOT_PAIRED, (command, parameter.name)


@pytest.fixture
def lines(tiny_run, invoke, tmp_path):
    """A line of each command that works without further options."""
    state = tiny_run / "diffusion_checkpoint.safetensors"
    assert invoke("sample", "-c", state, "-d", 9, "--seed", 2, "-o", "nine.png").returncode == 0
    nine = tmp_path / "nine.png"
    return {
        "train": ["train", "--dry-run"],
        "sample": ["sample", "-c", state],
        "grid": ["grid", state],
        "grid of pictures": ["grid", nine],
        "grid over time": ["grid", tiny_run, "--over-time"],
        "interpolate": ["interpolate", "-c", state, "--from", "3", "--to", "8"],
        "edit": ["edit", nine, "-c", state],
        "inpaint": ["inpaint", nine, "--mask", "top", "-c", state],
        "classify": ["classify", nine, "-c", state],
        "evaluate": ["evaluate", state, "-n", "10"],
        "report": ["report", tiny_run],
        "reproduce": ["reproduce", nine, "-c", state],
        "inspect": ["inspect", tiny_run],
    }


@pytest.mark.parametrize("command", [
    *("classify", "inspect"),
    *(
        pytest.param(command, marks=pytest.mark.soak)
        for command in ("train", "sample", "grid", "grid of pictures", "grid over time", "interpolate", "edit",
                        "inpaint", "evaluate", "report", "reproduce")
    ),
])  # fmt: skip
def test_no_option_is_ignored_beside_another(lines, invoke, monkeypatch, tmp_path, command):
    """Every pair of options is tried: what changes the result alone changes it beside any other, or is refused."""
    monkeypatch.setattr(options, "new_seed", lambda: 5)

    def run(words):
        done = invoke(*words)
        assert done.returncode != 1, (words, done.stderr)
        return done.returncode, done.stdout, done.stderr

    folder = tmp_path / "tried"
    folder.mkdir()
    assert len(options_of(lines[command][0])) > 0
    assert {*ignored(run, lines[command], folder)} - HARMLESS == set()
    shutil.rmtree(folder)
