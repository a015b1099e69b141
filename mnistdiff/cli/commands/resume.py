"""``mnistdiff resume``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.signals import stop_on_signals
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.engine.libraries import require
from mnistdiff.presets import resolve
from mnistdiff.settings import MachineSettings, TrainSettings

EXAMPLES = """Examples:

mnistdiff resume

mnistdiff resume runs/001-base --epochs 300"""


def resume_command(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN|FILE", readable=False, help="A run folder or a checkpoint; default: the newest run."
        ),
    ] = None,
    epochs: Annotated[
        Any,
        options.setting(TrainSettings, "epochs", help_text="A new end of the run, in epochs.", from_environment=False),
    ] = None,
    max_steps: Annotated[
        Any,
        options.setting(
            TrainSettings,
            "max_steps",
            help_text="A new end of the run, in steps; with --epochs, at what comes first.",
            from_environment=False,
        ),
    ] = None,
    data_dir: options.DataDir = None,
    run_dir: Annotated[
        Any,
        options.setting(
            MachineSettings,
            "run_dir",
            help_text="Go on in this new folder; default: the run's own.",
            from_environment=False,
        ),
    ] = None,
    log: options.Log = None,
    device: options.Device = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Go on from an earlier checkpoint and give up the later steps.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on with a stopped run, to the same bits as if it had never stopped; or extend a finished one."""
    machine = resolve([("command line", options.given(MachineSettings, context.params))]).machine
    from mnistdiff.engine.runs.lookup import checkpoint_to_resume

    chosen = checkpoint_to_resume(source)
    with stop_on_signals() as stop:
        console.note(f"loading PyTorch, the images and {chosen} ...", quiet=quiet or json)
        require("matplotlib", "torch")
        from mnistdiff.engine import pipeline

        events = pipeline.resume(chosen, machine, epochs=epochs, max_steps=max_steps, force=force, stop=stop)
        finished = show_training(events, log=machine.log, quiet=quiet or json)
    conclude(finished, as_json=json, quiet=quiet)
    if stop():
        raise typer.Exit(stop.exit_code)
