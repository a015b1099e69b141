"""``mnistdiff distill``."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistdiff.cli import console, variables
from mnistdiff.cli import options as declared
from mnistdiff.cli.option_groups import GUIDANCE_BY_MODEL
from mnistdiff.cli.processes import processes_of, train_elsewhere, training
from mnistdiff.cli.train_options import SETTINGS, of_setting
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.distillation import STUDENT_STEPS, StudentSteps
from mnistdiff.distillation_settings import RECIPE, TEACHER_SAMPLING, resolve_distillation
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Interval

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile
    from mnistdiff.presets import Resolved

EXAMPLES = """
mnistdiff distill
mnistdiff distill runs/001-fast --steps 1 --max-minutes 15
mnistdiff distill bundled --steps 2 --guidance 2 --guidance-interval 0.2:0.4 --teacher-steps 16
"""
_TEACHER, _SPEED, _FILES = "Teacher", "Speed", "Data and files"
_SETTINGS = (
    *("max_steps", "max_minutes", "batch_size", "optimizer", "lr", "muon_lr", "ema_decay", "seed"),
    *("shards", "processes", "precision", "compile"),
    *("data_dir", "run_dir", "log", "log_every", "sample_every", "checkpoint_every", "save_every", "device"),
)


def _of(name: str, panel: str | None = None) -> Any:
    return of_setting(name, RECIPE, panel)


def _of_teacher(name: str, *flags: str) -> Any:
    """The option for a sample setting of the teacher."""
    field = SampleSettings.model_fields[name]
    default = GUIDANCE_BY_MODEL if name == "guidance" else str(TEACHER_SAMPLING.get(name, ""))
    text = declared.describe(field, default)
    metavar = {"guidance_interval": "FROM:TO"}.get(name)
    return declared.setting(SampleSettings, name, *flags, panel=_TEACHER, help_text=text, metavar=metavar)


@dataclass(frozen=True)
class DistillOptions:
    """What was typed; a setting that was left out is None."""

    teacher: declared.Source = None
    steps: Annotated[
        int,
        declared.typed(
            "--steps",
            kind=StudentSteps,
            help_text=f"Network evaluations of the student (1 to 16; default {STUDENT_STEPS}).",
        ),
    ] = STUDENT_STEPS
    max_steps: Annotated[int | None, _of("max_steps")] = None
    max_minutes: Annotated[float | None, _of("max_minutes")] = None
    batch_size: Annotated[int | None, _of("batch_size")] = None
    optimizer: Annotated[str | None, _of("optimizer")] = None
    lr: Annotated[float | None, _of("lr")] = None
    muon_lr: Annotated[float | None, _of("muon_lr")] = None
    ema_decay: Annotated[float | None, _of("ema_decay")] = None
    seed: Annotated[int | None, _of("seed")] = None
    sampler: Annotated[str | None, _of_teacher("sampler")] = None
    teacher_steps: Annotated[int | None, _of_teacher("steps", "--teacher-steps")] = None
    guidance: Annotated[float | None, _of_teacher("guidance")] = None
    guidance_interval: Annotated[Interval | None, _of_teacher("guidance_interval")] = None
    shards: Annotated[str | None, _of("shards", _SPEED)] = None
    processes: Annotated[str | None, _of("processes", _SPEED)] = None
    precision: Annotated[str | None, _of("precision", _SPEED)] = None
    compile: Annotated[str | None, _of("compile", _SPEED)] = None
    data_dir: Annotated[Path | None, _of("data_dir", _FILES)] = None
    run_dir: Annotated[Path | None, _of("run_dir", _FILES)] = None
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace the run in --run-dir.", rich_help_panel=_FILES)
    ] = False
    log: Annotated[str | None, _of("log")] = None
    log_every: Annotated[int | None, _of("log_every", _FILES)] = None
    sample_every: Annotated[int | None, _of("sample_every", _FILES)] = None
    checkpoint_every: Annotated[int | None, _of("checkpoint_every", _FILES)] = None
    save_every: Annotated[int | None, _of("save_every", _FILES)] = None
    device: Annotated[str | None, _of("device")] = None
    json: declared.Json = False
    quiet: declared.Quiet = False

    def resolve(self, teacher: "CheckpointFile") -> "Resolved":
        """Merge the settings of the teacher, variables and options.

        Raises:
            SettingsError: for a wrong value of a variable, or steps that do not fit the teacher's.
        """
        typed = {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}
        untyped = [name for name in _SETTINGS if name not in typed]
        of_teacher = {name: getattr(self, name) for name in ("sampler", "guidance", "guidance_interval")}
        sampling = {**of_teacher, "steps": self.teacher_steps}
        given = {name: value for name, value in sampling.items() if value is not None}
        return resolve_distillation(teacher, self.steps, given, [variables.layer(untyped), ("command line", typed)])


def distill_command(options: DistillOptions) -> None:
    """Distil a model into one of few steps.

    The student has the network of its teacher, starts from its weights, and learns to sample in --steps network
    evaluations what the teacher samples in --teacher-steps with guidance. The result is a run as that of train: resume
    continues it, sample and evaluate take it.
    """
    from mnistdiff.engine.checkpoint.header import read_checkpoint_file
    from mnistdiff.engine.runs.lookup import checkpoints_to_sample

    file = read_checkpoint_file(checkpoints_to_sample(options.teacher)[-1])
    file.require_valid()
    resolved = options.resolve(file)
    quiet = options.quiet or options.json
    if train_elsewhere(resolved.machine, partial(processes_of, resolved), quiet=quiet):
        return
    for warning in variables.unread(SETTINGS):
        console.warn(warning)
    with training() as stop:
        console.note(f"loading PyTorch, the images and {declared.name_of(file.path)} ...", quiet=quiet)
        from mnistdiff.training_api import or_continue, start_distillation

        begin = partial(start_distillation, file, resolved, force=options.force, stop=stop)
        finished = show_training(or_continue(resolved, begin, stop=stop), quiet=quiet)
        conclude(finished, as_json=options.json, quiet=options.quiet)
