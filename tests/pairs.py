"""Every pair of options of a command, tried: which option changes nothing beside another, though it does alone?"""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mnistdiff.cli.registry import load

Words = Sequence[str]
Outcome = tuple[int, bytes, bytes, Mapping[str, str]]

OF_PICTURES = ["--dataset", "x/"]

# An option with a value other than its default, and what it needs to act.
OPTIONS: Mapping[str, Words] = {
    "digit": ["--digit", "7"],
    "classes": ["--class", "8"],
    "digits": ["--digits", "12"],
    "n": ["-n", "2"],
    "seed": ["--seed", "3"],
    "seeds": ["--seeds", "1-2"],
    "balance": ["--balance", "mnist"],
    "format": ["--format", "csv"],
    "guidance": ["--guidance", "3"],
    "guidance_interval": ["--guidance-interval", "0.4:1"],
    "sampler": ["--sampler", "ddim"],
    "steps": ["--steps", "4"],
    "spacing": ["--spacing", "even", "--steps", "3"],
    "eta": ["--eta", "0.5", "--sampler", "ddim"],
    "weights": ["--weights", "raw"],
    "device": ["--device", "cpu"],
    "backend": ["--backend", "torch"],
    "show": ["--show"],
    "gif": ["--gif", "g.gif"],
    "film": ["--film", "f.png"],
    "view": ["--view", "x_0", "--gif", "g.gif"],
    "force": ["--force"],
    "json": ["--json"],
    "quiet": ["--quiet"],
    "strength": ["--strength", "0.4"],
    "rounds": ["--rounds", "2"],
    "frames": ["--frames", "3"],
    "to_seed": ["--to-seed", "9"],
    "sweep": ["--sweep", "guidance=1,4"],
    "over_time": ["--over-time"],
    "evaluations": ["--evaluations", "3"],
    "bits_per_dim": ["--bits-per-dim"],
    "classifier": ["--classifier", "c.safetensors"],
    "augment": ["--augment", "shift"],
    "holdout": ["--holdout", "0.2"],
    "split": ["--split", "train", "--bits-per-dim"],
    "by": ["--by", "guidance=1,4"],
    "plot": ["--plot", "p.png", "--by", "guidance=1,4"],
    "confusion": ["--confusion"],
    "min_accuracy": ["--min-accuracy", "99"],
    "max_fcd": ["--max-fcd", "0"],
    "html": ["--html", "x.html"],
    "data_dir": ["--data-dir", "nowhere"],
    "epochs": ["--epochs", "3"],
    "max_steps": ["--max-steps", "7"],
    "max_minutes": ["--max-minutes", "7"],
    "preset": ["--preset", "fast"],
    "batch_size": ["--batch-size", "7"],
    "shards": ["--shards", "1"],
    "processes": ["--processes", "1"],
    "precision": ["--precision", "fp32"],
    "compile": ["--compile", "off"],
    "optimizer": ["--optimizer", "muon"],
    "lr": ["--lr", "0.7"],
    "muon_lr": ["--muon-lr", "0.7", "--optimizer", "muon"],
    "lr_schedule": ["--lr-schedule", "cosine"],
    "warmup_steps": ["--warmup-steps", "7"],
    "weight_decay": ["--weight-decay", "0.7"],
    "grad_clip": ["--grad-clip", "7"],
    "ema_decay": ["--ema-decay", "0.7"],
    "timesteps": ["--timesteps", "7"],
    "beta_schedule": ["--beta-schedule", "cosine"],
    "mode_scale": ["--mode-scale", "0.7"],
    "timestep_shift": ["--timestep-shift", "7"],
    "prediction": ["--prediction", "v_prediction"],
    "label_dropout": ["--label-dropout", "0.7"],
    "dataset": ["--dataset", "mnist-5k"],
    "fit": ["--fit", "crop", *OF_PICTURES],
    "invert": ["--invert", "yes", *OF_PICTURES],
    "image_size": ["--image-size", "32", *OF_PICTURES],
    "skip_bad": ["--skip-bad", *OF_PICTURES],
    "run_dir": ["--run-dir", "r"],
    "log": ["--log", "tensorboard"],
    "log_every": ["--log-every", "7"],
    "sample_every": ["--sample-every", "7"],
    "checkpoint_every": ["--checkpoint-every", "7"],
    "save_every": ["--save-every", "7"],
    "any_size": ["--any-size"],
    "runs": ["--runs", "r"],
    "host": ["--host", "127.0.0.2"],
    "port": ["--port", "0"],
    "no_open": ["--no-open"],
    "teacher_steps": ["--teacher-steps", "8"],
}
OUTPUTS = {
    "sample": "x.png",
    "grid": "x.png",
    "edit": "x.png",
    "inpaint": "x.png",
    "interpolate": "x.gif",
    "evaluate": "x.json",
    "report": "x.html",
    "reproduce": "x.png",
    "export": "x.onnx",
    "train-classifier": "x",
}
# What no pair can tell: given as the source of every line, files read, or work that takes long.
NOT_PAIRED = {
    "checkpoint",
    "mask",
    "start",
    "end",
    "architecture",
    "cas",
    "memorization",
    "pairs",
    "config",
    "from_model",
    "evaluation",
    "dry_run",
}


def options_of(command: str) -> dict[str, Words]:
    """The options of a command, by parameter, as they are tried."""
    found: dict[str, Words] = {}
    for parameter in load(command).params:
        name = str(parameter.name)
        if parameter.param_type_name != "option" or name in NOT_PAIRED or name in ("help", "version"):
            continue
        found[name] = ["--output", OUTPUTS[command]] if name == "output" else OPTIONS[name]
        if (command, name) == ("evaluate", "n"):
            found[name] = ["-n", "12"]  # its least is 10
        if (command, name) == ("evaluate", "evaluations"):
            found[name] = ["--evaluations", "3", "--bits-per-dim"]
        if (command, name) == ("train-classifier", "holdout"):
            found[name] = ["--holdout", "0.2", *OF_PICTURES]
    return found


def outcome(run: Callable[[Words], tuple[int, bytes, bytes]], words: Words, folder: Path) -> Outcome:
    """What a line leaves in an empty folder, without what depends on the time it took."""
    folder.mkdir()
    os.chdir(folder)
    code, out, err = run(words)
    timed = re.compile(rb'"(?:seconds|images_per_second)": [0-9.e-]+|[0-9]+ images/s')
    files = {
        str(path.relative_to(folder)): hashlib.sha256(timed.sub(b"", path.read_bytes())).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return code, timed.sub(b"", out), timed.sub(b"", err), files


def ignored(run: Callable[[Words], tuple[int, bytes, bytes]], line: Words, folder: Path) -> Iterator[tuple[str, str]]:
    """Pairs (a, b) of options of a command line, where a acts alone and changes nothing beside b."""
    options = options_of(line[0])
    numbers = itertools.count()

    def tried(*words: str) -> Outcome:
        return outcome(run, [*line, *words], folder / str(next(numbers)))

    plain, alone = tried(), {name: tried(*words) for name, words in options.items()}
    for first, second in itertools.combinations(options, 2):
        if {*options[first]} & {*options[second]} - {"3", "7", "0.7"}:
            continue  # one needs the other to act
        both = tried(*options[first], *options[second])
        if both[0] == 2:
            continue
        for name, other in ((first, second), (second, first)):
            if both == alone[other] and alone[name] not in (plain, alone[other]):
                yield name, other
