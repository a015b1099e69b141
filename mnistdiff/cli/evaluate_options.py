"""The options of ``evaluate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from mnistdiff.cli import option_groups, options
from mnistdiff.cli.option_groups import SamplingOptions, Sweep, inference_settings
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.data.datasets import Split
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import InferenceSettings
from mnistdiff.setting_types import BoundEvaluations, EvaluatedCount, Seed

_PAIRS = "memorization_pairs.png"

_SAMPLED, _MEASURED, _EVALUATIONS = 10_000, 2_000, 12

_Count = Annotated[
    int | None,
    options.typed(
        "-n",
        "--n",
        kind=EvaluatedCount,
        help_text="Images to sample or, with --bits-per-dim, to measure, classes as frequent as in the data set (10 to "
        f"60000; default {_SAMPLED}; {_MEASURED}).",
    ),
]
_Seed = Annotated[int, options.typed("--seed", kind=Seed, help_text="Seed of the first image (default 0).")]
_Device = Annotated[str | None, options.setting(InferenceSettings, "device")]
_Backend = Annotated[
    str | None,
    options.setting(
        InferenceSettings,
        "backend",
        help_text="ONNX Runtime, on the CPU, or PyTorch; auto takes PyTorch on a GPU, else as sample.",
    ),
]
_By = Annotated[
    Sweep | None,
    typer.Option(
        "--by",
        parser=Sweep.parser("--by"),
        metavar="NAME=VALUES",
        help="Compare values of one sample setting, as in guidance=1,1.5,2 or steps=5,10,20.",
        show_default=False,
    ),
]
_Plot = Annotated[Path | None, options.file("--plot", help="With --by: also plot the comparison, as PNG.")]
_Cas = Annotated[
    bool, typer.Option("--cas", help="Train classifiers on the images alone, and on as many real ones (slow).")
]
_Memorization = Annotated[
    bool, typer.Option("--memorization", "--memorisation", help="Find the nearest training image of each image.")
]
_Pairs = Annotated[
    Path | None, options.file("--pairs", help=f"With --memorization: where to show the nearest (default {_PAIRS}).")
]
_Classifier = Annotated[
    list[Path] | None,
    options.file(
        "--classifier",
        help="A reference classifier of train-classifier; repeatable. Default: those of the model's data set.",
    ),
]
_BitsPerDim = Annotated[
    bool,
    typer.Option(
        "--bits-per-dim", help="Instead of sampling, measure the variational bound on the likelihood of real images."
    ),
]
_Split = Annotated[
    Split | None,
    options.typed(
        "--split",
        kind=Split,
        help_text="With --bits-per-dim: the images to measure it on (default test, if there are such images).",
    ),
]
_Evaluations = Annotated[
    int | None,
    options.typed(
        "--evaluations",
        kind=BoundEvaluations,
        help_text="With --bits-per-dim: network evaluations of an image (>= 2; default "
        f"{_EVALUATIONS}); the T of the model for every term.",
    ),
]
_Confusion = Annotated[bool, typer.Option("--confusion", help="Show the confusion matrix of each classifier.")]
_MinAccuracy = Annotated[
    float | None,
    options.typed(
        "--min-accuracy",
        kind=Annotated[float, Field(ge=0, le=100)],
        metavar="PERCENT",
        help_text="Exit 9 if the accuracy of a classifier is less than this.",
    ),
]
_MaxFcd = Annotated[
    float | None,
    options.typed(
        "--max-fcd",
        kind=Annotated[float, Field(ge=0)],
        help_text="Exit 9 if the Fréchet distance of a classifier is more than this.",
    ),
]
_Report = Annotated[Path | None, options.file("--output", "-o", help="Also write the report there, as JSON.")]


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command.

    Raises:
        SettingsError: if two of them cannot act together.
    """

    checkpoint: options.Source = None
    n: _Count = None
    seed: _Seed = 0
    guidance: option_groups.Guidance = None
    guidance_interval: option_groups.GuidanceInterval = None
    sampler: option_groups.Sampler = None
    steps: option_groups.Steps = None
    spacing: option_groups.Spacing = None
    eta: option_groups.Eta = None
    weights: option_groups.Weights = None
    device: _Device = None
    backend: _Backend = None
    processes: option_groups.ProcessCount = None
    by: _By = None
    plot: _Plot = None
    cas: _Cas = False
    memorization: _Memorization = False
    pairs: _Pairs = None
    classifier: _Classifier = None
    bits_per_dim: _BitsPerDim = False
    split: _Split = None
    evaluations: _Evaluations = None
    confusion: _Confusion = False
    min_accuracy: _MinAccuracy = None
    max_fcd: _MaxFcd = None
    output: _Report = None
    force: options.Force = False
    data_dir: options.DataDir = None
    json: options.Json = False
    quiet: options.Quiet = False

    def __post_init__(self) -> None:
        self._refuse_what_the_bound_ignores()
        if self.plot is not None and self.by is None:
            raise SettingsError("--plot shows what --by compares", "Add for example --by guidance=1,1.5,2.")
        if self.pairs is not None and not self.memorization:
            raise SettingsError("--pairs shows what --memorization finds", "Add --memorization.")
        if self.by is not None:
            single: dict[str, object] = {"--confusion": self.confusion, "--memorization": self.memorization}
            single |= {"--min-accuracy": self.min_accuracy, "--max-fcd": self.max_fcd}
            refuse_beside("--by", "it makes several evaluations", single)

    def _refuse_what_the_bound_ignores(self) -> None:
        if not self.bits_per_dim:
            for name in ("split", "evaluations"):
                if getattr(self, name) is not None:
                    raise SettingsError(f"{options.flag(name)} is an option of --bits-per-dim", "Add --bits-per-dim.")
            return
        names = (
            *("guidance", "guidance_interval", "sampler", "steps", "spacing", "eta", "processes", "by", "plot", "cas"),
            *("classifier", "memorization", "pairs", "confusion", "min_accuracy", "max_fcd"),
        )
        ignored = {options.flag(name): getattr(self, name) for name in names}
        refuse_beside("--bits-per-dim", "it samples no images", ignored)

    @property
    def count(self) -> int:
        """The number of images."""
        return self.n or (_MEASURED if self.bits_per_dim else _SAMPLED)

    @property
    def bound_evaluations(self) -> int:
        """Network evaluations of each of these images."""
        return self.evaluations or _EVALUATIONS

    @property
    def task(self) -> str:
        """What is asked of the model besides to sample from noise."""
        return "`bits_per_dim`" if self.bits_per_dim else ""

    def sampling(self) -> SamplingOptions:
        """The options of sampling.

        Raises:
            SettingsError: if two of them cannot act together.
        """
        machine = inference_settings(self.device, self.backend, self.processes)
        sweeps = [self.by] if self.by else []
        how = (self.guidance, self.guidance_interval, self.sampler, self.steps, self.spacing, self.eta, self.weights)
        return SamplingOptions(*how, machine, sweeps=sweeps)

    @property
    def pairs_file(self) -> Path | None:
        """Where the closest pairs go; None if they are not looked for."""
        return (self.pairs or Path(_PAIRS)) if self.memorization else None
