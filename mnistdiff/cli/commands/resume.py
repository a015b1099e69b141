"""``mnistdiff resume``."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.processes import train_elsewhere, training
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.errors import MnistDiffError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

EXAMPLES = """
mnistdiff resume
mnistdiff resume runs/001-base --epochs 300
"""

_Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN|FILE",
        readable=False,
        help="A run folder or a checkpoint of a training; default: the newest run.",
        show_default=False,
    ),
]
_Epochs = Annotated[
    int | None,
    options.setting(TrainSettings, "epochs", help_text="Train to this many epochs in all (>= 1)."),
]
_MaxSteps = Annotated[
    int | None,
    options.setting(
        TrainSettings,
        "max_steps",
        help_text="Train to this many steps in all (>= 1); with --epochs, to what comes first.",
    ),
]
_RunDir = Annotated[
    Path | None,
    options.setting(
        MachineSettings,
        "run_dir",
        help_text="Continue in this new folder; default: in the folder of the run.",
    ),
]
_Processes = Annotated[str | None, options.setting(MachineSettings, "processes", from_environment=True)]
_Force = Annotated[
    bool, typer.Option("--force", "-f", help="Resume from an earlier checkpoint and give up the later steps.")
]


def resume_command(
    context: typer.Context,
    source: _Source = None,
    epochs: _Epochs = None,
    max_steps: _MaxSteps = None,
    data_dir: options.DataDir = None,
    run_dir: _RunDir = None,
    log: options.Log = None,
    device: options.Device = None,
    processes: _Processes = None,
    force: _Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Resume training.

    The result is bit for bit that of a training which was never stopped. With --epochs or --max-steps, a finished run
    is trained further.
    """
    from mnistdiff.engine.runs.lookup import checkpoint_to_resume

    is_variable = str(getattr(context.get_parameter_source("data_dir"), "name", "")) == "ENVIRONMENT"
    if is_variable and _is_of_pictures(source):
        data_dir = None  # it is for the data sets that have names
    given = {"data_dir": data_dir, "run_dir": run_dir, "log": log, "device": device, "processes": processes}
    machine = MachineSettings.model_validate({name: value for name, value in given.items() if value is not None})
    if train_elsewhere(machine, partial(_count, source, machine, epochs, max_steps), quiet=quiet or json):
        return
    chosen = checkpoint_to_resume(source)
    with training() as stop:
        console.note(f"loading PyTorch, the images and {chosen} ...", quiet=quiet or json)
        from mnistdiff.training_api import resume_training

        events = resume_training(chosen, machine, epochs=epochs, max_steps=max_steps, force=force, stop=stop)
        finished = show_training(events, quiet=quiet or json)
        conclude(finished, as_json=json, quiet=quiet)


def _is_of_pictures(source: Path | None) -> bool:
    """Whether the training was on pictures, as far as a state of it can be read."""
    from mnistdiff.engine.checkpoint.header import read_checkpoint_file
    from mnistdiff.engine.runs.lookup import checkpoint_to_resume

    chosen = checkpoint_to_resume(source)
    for path in [chosen] if isinstance(chosen, Path) else chosen.states():
        with suppress(MnistDiffError, OSError):
            return read_checkpoint_file(path).settings.pictures is not None
    return False


def _count(source: Path | None, machine: MachineSettings, epochs: int | None, max_steps: int | None) -> int:
    """The number of processes to start.

    Where a run's latest state cannot be read, an earlier one is resumed, by the number that was asked for, or by one.
    """
    from mnistdiff.engine.checkpoint.header import read_checkpoint_file
    from mnistdiff.engine.libraries import require
    from mnistdiff.engine.runs.lookup import checkpoint_to_resume

    chosen = checkpoint_to_resume(source)
    try:
        metadata = read_checkpoint_file(chosen if isinstance(chosen, Path) else chosen.latest).metadata
    except (MnistDiffError, OSError):
        if isinstance(chosen, Path):
            raise
        return 1 if machine.processes == "auto" else machine.processes
    require("torch")
    from mnistdiff.engine.training.choose import processes_to_start

    ends = {"epochs": epochs or metadata.settings.epochs, "max_steps": max_steps or metadata.settings.max_steps}
    return processes_to_start(metadata.settings.model_copy(update=ends), machine, steps_done=metadata.step)
