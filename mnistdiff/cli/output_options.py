"""Options of where samples go: their declarations, and the frozen objects that commands build of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistdiff.cli.options import file, typed
from mnistdiff.cli.output import Output, refuse_existing
from mnistdiff.conflicts import refuse_beside
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import View

if TYPE_CHECKING:
    from mnistdiff.engine.inference.sampling import SampleSpec

DatasetFormat = Literal["npz", "idx", "csv"]

_OUTPUT = "A folder, or one .png: a sheet if of several images."
OutputPath = Annotated[str, typer.Option("--output", "-o", metavar="DIR|FILE|-", help=_OUTPUT)]
Show = Annotated[bool, typer.Option("--show", help="Print the images in the terminal, too.")]
Gif = Annotated[Path | None, file("--gif", help="Also animate the states from noise to image: .gif or .png.")]
Film = Annotated[Path | None, file("--film", help="Also write some of these states side by side: .png.")]
ViewName = Annotated[
    View | None,
    typed(
        "--view",
        kind=View,
        help_text="What --gif and --film show: the noisy states, or the images predicted at each (default x_t).",
    ),
]
FormatName = Literal["png", "npz", "idx", "csv"]
Format = Annotated[
    FormatName,
    typed(
        "--format",
        kind=FormatName,
        help_text="Images, or one labelled data set; idx is a folder for torchvision.datasets.MNIST (default png).",
    ),
]


@dataclass(frozen=True)
class AnimationOptions:
    """``--gif`` and ``--film``: the states from noise to image, in files beside the images.

    Attributes:
        gif: a file that moves.
        film: a file with some of the states side by side.
        view: which tensor is shown; None is x_t.
        beside: where the images themselves go.
        force: replace files.

    Raises:
        SettingsError: if a file has another suffix, exists, or is used for two outputs, or ``view`` has no effect.
    """

    gif: Path | None
    film: Path | None
    view: View | None
    beside: Output
    force: bool

    def __post_init__(self) -> None:
        for flag, path, kinds in (("--gif", self.gif, (".gif", ".png")), ("--film", self.film, (".png",))):
            if path is None:
                continue
            if path.suffix.lower() not in kinds:
                raise SettingsError(f"{flag} {path}: it is written as {' or '.join(kinds)}", "Use a name that ends so.")
            refuse_existing(path, force=self.force, hint=f"Use --force to replace it, or {flag} with another name.")
            if [self.gif, self.film, self.beside.file].count(path) > 1:
                raise SettingsError(f"{path} is used for two outputs", "Use another name for one of them.")
        if self.view is not None and not self.files:
            raise SettingsError(
                "--view has no effect without --gif or --film", "Add --gif FILE or --film FILE, or leave out --view."
            )

    @property
    def tensor(self) -> View:
        """Which tensor is shown."""
        return self.view or "x_t"

    @property
    def files(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.gif, self.film) if path is not None]


@dataclass(frozen=True)
class OutputOptions:
    """Where samples go, and what is printed.

    Attributes:
        target: a folder, one file, or stdout.
        animations: of the same images.
        show: print them in the terminal, too.
        force: replace files.
        json: print results as JSON.
        quiet: print no progress and no notes.

    Raises:
        SettingsError: if the one file exists.
    """

    target: Output
    animations: AnimationOptions
    show: bool
    force: bool
    json: bool
    quiet: bool

    def __post_init__(self) -> None:
        if self.target.file is not None:
            refuse_existing(self.target.file, force=self.force)

    def refuse_existing(self, specs: "Sequence[SampleSpec]") -> None:
        """Check the files of these images before they are sampled.

        Raises:
            SettingsError: if one exists, or there is no room for the images on a sheet.
        """
        from mnistdiff.engine.outputs.encode import file_name
        from mnistdiff.engine.outputs.sheets import require_image_count

        if self.target.folder is None:
            require_image_count(len(specs))
        self.target.refuse_existing([file_name(spec.label, spec.seed) for spec in specs], force=self.force)

    @classmethod
    def of(
        cls,
        output: str,
        gif: Path | None,
        film: Path | None,
        view: View | None,
        *,
        show: bool,
        force: bool,
        json: bool,
        quiet: bool,
    ) -> "OutputOptions":
        """From the options of a command.

        Raises:
            SettingsError: if they contradict each other, or a file exists.
        """
        target = Output.parse(output, as_json=json)
        return cls(target, AnimationOptions(gif, film, view, target, force), show, force, json, quiet or json)


@dataclass(frozen=True)
class DatasetOptions:
    """``--format``: a labelled data set instead of images.

    Attributes:
        format: of the file, or of the folder (idx).
        path: where it goes.
        force: replace files.
        json: print the result as JSON.
        quiet: print no progress and no notes.

    Raises:
        SettingsError: if the path has another suffix, or a file exists.
    """

    format: DatasetFormat
    path: Path
    force: bool
    json: bool
    quiet: bool

    def __post_init__(self) -> None:
        if self.format == "idx":
            self._check_folder()
            return
        if self.path.suffix.lower() != f".{self.format}":
            raise SettingsError(
                f"-o {self.path}: --format {self.format} is one file", f"Use a name that ends in .{self.format}."
            )
        refuse_existing(self.path, force=self.force)

    @classmethod
    def of(
        cls,
        format: DatasetFormat,
        output: str | None,
        *,
        for_images: Mapping[str, object],
        force: bool,
        json: bool,
        quiet: bool,
    ) -> "DatasetOptions":
        """From the options of ``sample``.

        Args:
            format: of the data set.
            output: its path; None is ``drawn`` with the suffix of the format.
            for_images: by flag, the options that images alone have.
            force: replace files.
            json: print the result as JSON.
            quiet: print no progress and no notes.

        Raises:
            SettingsError: if an option for images was given, or as the class.
        """
        refuse_beside(f"--format {format}", "it is for images", for_images)
        path = Path(output or ("drawn" if format == "idx" else f"drawn.{format}"))
        return cls(format, path, force, json, quiet or json)

    def require_enough(self, count: int) -> None:
        """Raise SettingsError for fewer images than the format needs."""
        from mnistdiff.engine.outputs.dataset_writers import LEAST_FOR_IDX

        if self.format == "idx" and count < LEAST_FOR_IDX:
            raise SettingsError(
                f"--format idx is a training and a test set: it needs at least {LEAST_FOR_IDX} images, not {count}",
                "Use a larger --n, or another --format.",
            )

    def _check_folder(self) -> None:
        if str(self.path) == "-":
            raise SettingsError("-o -: --format idx is a folder", "Use -o with the name of a folder.")
        from mnistdiff.engine.data import idx
        from mnistdiff.engine.data.datasets import MNIST

        raw = self.path / "MNIST" / "raw"
        # Also files under another name that readers of the folder take for the same, such as .gz.
        for each in MNIST.idx_files:
            refuse_existing(idx.find(raw, each.name) or raw / each.name, force=self.force)
