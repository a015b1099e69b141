"""Options of where samples go: their declarations, and the frozen objects that commands build of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistdiff.cli.options import file, typed
from mnistdiff.cli.output import Output, refuse_existing
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import View

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec
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
class OutputOptions:
    """Where samples go, and what is printed.

    Attributes:
        output: a folder, one file, or ``-``; see ``Output.parse``.
        gif: the states from noise to image, in a file that moves.
        film: some of the states side by side.
        view: which tensor these two show; None is x_t.
        show: print the images in the terminal, too.
        force: replace files.
        json: print results as JSON.
        quiet: print no progress and no notes.

    Raises:
        SettingsError: if a file has another suffix, exists, or is used for two outputs, or ``view`` has no effect.
    """

    output: str
    gif: Path | None
    film: Path | None
    view: View | None
    show: bool
    force: bool
    json: bool
    quiet: bool

    def __post_init__(self) -> None:
        target = self.target
        for flag, path, kinds in (("--gif", self.gif, (".gif", ".png")), ("--film", self.film, (".png",))):
            if path is None:
                continue
            if path.suffix.lower() not in kinds:
                raise SettingsError(f"{flag} {path}: it is written as {' or '.join(kinds)}", "Use a name that ends so.")
            refuse_existing(path, force=self.force, hint=f"Use --force to replace it, or {flag} with another name.")
            if [self.gif, self.film, target.file].count(path) > 1:
                raise SettingsError(f"{path} is used for two outputs", "Use another name for one of them.")
        if self.view is not None and not self.animations:
            raise SettingsError(
                "--view has no effect without --gif or --film", "Add --gif FILE or --film FILE, or leave out --view."
            )
        if target.file is not None:
            refuse_existing(target.file, force=self.force)

    @property
    def target(self) -> Output:
        """A folder, one file, or stdout."""
        return Output.parse(self.output, as_json=self.json)

    @property
    def tensor(self) -> View:
        """Which tensor the animations show."""
        return self.view or "x_t"

    @property
    def animations(self) -> list[Path]:
        """The files of states."""
        return [path for path in (self.gif, self.film) if path is not None]

    def require_writable(self, specs: "Sequence[SampleSpec]", dataset: "DatasetSpec") -> None:
        """Check the files of these images before they are sampled.

        Raises:
            SettingsError: if one exists, or there is no room for the images on a sheet.
        """
        from mnistdiff.engine.outputs.encode import file_name
        from mnistdiff.engine.outputs.sheets import require_image_count

        target = self.target
        if target.folder is None:
            require_image_count(len(specs))
            return
        for spec in specs:
            path, hint = target.folder / file_name(dataset, spec.label, spec.seed), "another -o, or other seeds."
            refuse_existing(path, force=self.force, hint=f"Use --force to replace it, {hint}")


@dataclass(frozen=True)
class DatasetOptions:
    """``--format``: a labelled data set instead of images.

    Attributes:
        format: of the file, or of the folder (idx).
        output: where it goes; None is ``drawn`` with the suffix of the format.
        force: replace files.
        json: print the result as JSON.
        quiet: print no progress and no notes.

    Raises:
        SettingsError: if the path has another suffix, or a file exists.
    """

    format: DatasetFormat
    output: str | None
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

    @property
    def path(self) -> Path:
        """Where it goes."""
        return Path(self.output or ("drawn" if self.format == "idx" else f"drawn.{self.format}"))

    def require_writable(self, specs: "Sequence[SampleSpec]", dataset: "DatasetSpec") -> None:
        """Check these images before they are sampled.

        Raises:
            SettingsError: if the format needs more of them.
        """
        from mnistdiff.engine.outputs.dataset_writers import LEAST_FOR_IDX

        count = len(specs)
        if self.format == "idx" and count < LEAST_FOR_IDX:
            raise SettingsError(
                f"--format idx is a training and a test set: it needs at least {LEAST_FOR_IDX} images, not {count}",
                "Use a larger --n, or another --format.",
            )

    def _check_folder(self) -> None:
        if str(self.path) == "-":
            raise SettingsError("-o -: --format idx is a folder", "Use -o with the name of a folder.")
        from mnistdiff.engine.data import idx
        from mnistdiff.engine.data.class_names import CLASSES_FILE
        from mnistdiff.engine.data.datasets import MNIST

        raw = self.path / "MNIST" / "raw"
        # Also files under another name that readers of the folder take for the same, such as .gz.
        for each in MNIST.idx_files:
            refuse_existing(idx.find(raw, each.name) or raw / each.name, force=self.force)
        refuse_existing(raw / CLASSES_FILE, force=self.force)
