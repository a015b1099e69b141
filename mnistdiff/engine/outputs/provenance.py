"""The provenance metadata embedded in images: everything needed to sample an image again, and its file format."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import Field, Strict, ValidationError, model_validator

from mnistdiff import __version__
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.inference.sampling import BATCH_SIZE, Sample, SampleSpec, specs_for_labels
from mnistdiff.engine.outputs.sheets import MAX_SHEET_IMAGES, Comparison, variants
from mnistdiff.engine.outputs.stored_process import StoredFormat, StoredRePaint, StoredSDEdit, stored
from mnistdiff.errors import StorageError, explain
from mnistdiff.pictures import MAX_CLASS_NAME, MAX_CLASSES
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import AnimationKind, Seed, View

if TYPE_CHECKING:  # reads every format
    from mnistdiff.engine.data.image_files import Picture

KEYWORD = "mnistdiff"
"""Keyword of the metadata that hold the provenance, as JSON."""
_ALWAYS_WRITTEN = {"version", "checkpoint", "backend", "settings", "rows", "columns"}
_Word = Annotated[str, Field(max_length=40)]


@dataclass(frozen=True)
class Origin:
    """What sampled some images.

    Attributes:
        model: the model.
        settings: sampler, steps, guidance.
        process: what sampling started from.
    """

    model: DiffusionModel
    settings: SampleSettings
    process: SamplingProcess = FROM_NOISE


class Row(NamedTuple):
    """``number`` images of a label, with the seeds ``seed``, ``seed + 1``, ..."""

    digit: Annotated[int, Field(ge=0, lt=MAX_CLASSES)]
    seed: Seed
    number: Annotated[int, Field(ge=1, le=MAX_SHEET_IMAGES)] = 1


class Sweep(NamedTuple):
    """A sample setting, and the values that are compared."""

    name: _Word
    values: Annotated[
        tuple[_Word | Annotated[float, Strict()] | Annotated[int, Strict()], ...],
        Field(min_length=1, max_length=MAX_SHEET_IMAGES),
    ]


class Provenance(StoredFormat):
    """How an image file was made. With the same checkpoint, machine and library versions it determines every byte.

    The fields are those of the file format.

    Attributes:
        version: of mnistdiff.
        checkpoint: SHA-256 of the checkpoint.
        backend: the library that evaluated the network.
        settings: sampler, steps, guidance and the rest.
        rows: label and seed of the images, in order. One image is stored as it is, several are a labelled sheet.
        columns: images in each row of a sheet; 0: a row for each label.
        classes: name of the class of each of ``rows``, where the classes are not the digits; for people.
        walk: the sampling process, unless it was ``FROM_NOISE``.
        sweeps: sample settings that the sheet compares, as ``sheets.comparison_sheet`` does.
        film: which states a ``Trajectory`` shows instead of the images.
        frames: number of images of an interpolation between the two images of ``rows``.
        animated: kind of file of an animated trajectory or interpolation; None for a still one.
        sheet: whether a single image is a labelled sheet, too.
    """

    version: _Word
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    backend: Literal["onnx", "torch"]
    settings: SampleSettings
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_SHEET_IMAGES)]
    columns: Annotated[int, Field(ge=0, le=MAX_SHEET_IMAGES)] = 0
    classes: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_CLASS_NAME)], ...], Field(max_length=MAX_SHEET_IMAGES)
    ] = ()
    walk: StoredSDEdit | StoredRePaint | None = None
    sweeps: Annotated[tuple[Sweep, ...], Field(max_length=2)] = ()
    film: View | None = None
    frames: Annotated[int, Field(ge=2, le=200)] | None = None
    animated: AnimationKind | None = None
    sheet: bool = False

    @model_validator(mode="after")
    def _is_one_kind_of_image(self) -> Self:
        if len(self.classes) not in (0, len(self.rows)):
            raise ValueError(f"{len(self.rows)} rows of {len(self.classes)} classes")
        number = sum(row.number for row in self.rows)
        if number * math.prod(len(sweep.values) for sweep in self.sweeps) > MAX_SHEET_IMAGES:
            raise ValueError(f"more than {MAX_SHEET_IMAGES} images")
        if self.film and number > BATCH_SIZE:
            raise ValueError(f"a trajectory of more than {BATCH_SIZE} images")
        if self.frames is not None and number != 2:
            raise ValueError("an interpolation needs two images")
        has_steps = self.walk is not None or self.film is not None
        if sum([has_steps, bool(self.sweeps), self.frames is not None, self.sheet]) > 1:
            raise ValueError("more than one kind of image")
        if self.animated and not (self.film or self.frames):
            raise ValueError("animated, and neither a trajectory nor an interpolation")
        _ = self.variants  # raises for settings that the sampler does not know
        return self

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON: the first six fields, and of the others those that are set."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if name in _ALWAYS_WRITTEN or value}

    def metadata(self) -> dict[str, str]:
        """The metadata of the image file, by keyword."""
        return {"Software": f"mnistdiff {self.version}", KEYWORD: json.dumps(self.to_dict())}

    @property
    def specs(self) -> list[SampleSpec]:
        """Label and seed of each image, in order."""
        return [spec for row in self.rows for spec in specs_for_labels([row.digit], row.number, row.seed)]

    @property
    def process(self) -> SamplingProcess:
        """The sampling process."""
        return FROM_NOISE if self.walk is None else self.walk.process()

    @property
    def variants(self) -> list[SampleSettings]:
        """The settings; of a comparison those of each of ``sheets.variants``.

        Raises:
            pydantic.ValidationError: for a setting or a value that the sampler does not know.
        """
        if not self.sweeps:
            return [self.settings]
        return [SampleSettings.model_validate({**dict(self.settings), **changes}) for changes in variants(self.sweeps)]

    @property
    def comparison(self) -> list[Comparison]:
        """The settings that are compared, with their validated values."""
        return [
            (name, [getattr(SampleSettings(**{**dict(self.settings), name: value}), name) for value in values])
            for name, values in self.sweeps
        ]

    @property
    def evaluations(self) -> int:
        """An upper bound of the network evaluations, counted for each image, that sampling again takes."""
        images = self.frames or sum(row.number for row in self.rows)
        repeats = self.walk.rounds if isinstance(self.walk, StoredRePaint) else 1
        return sum(images * each.steps * repeats * (1 if each.guidance in {0, 1} else 2) for each in self.variants)

    @classmethod
    def of(cls, picture: "Picture") -> "Provenance":
        """The provenance in an image file.

        Raises:
            StorageError: if there is none, or not one that this program wrote.
        """
        text = picture.text(KEYWORD)
        if text is None:
            raise StorageError(
                f"{picture.name} holds no provenance metadata", "Give an image as mnistdiff wrote it, unchanged."
            )
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise _invalid(picture.name, explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise _invalid(picture.name, "it is not JSON") from error


def _invalid(name: str, why: str) -> StorageError:
    return StorageError(
        f"the provenance metadata of {name} are not valid: {why}", "Give the image as mnistdiff wrote it, unchanged."
    )


def make_provenance(
    origin: Origin,
    images: Sequence[Sample | SampleSpec],
    *,
    columns: int = 0,
    sweeps: Sequence[Comparison] = (),
    view: View | None = None,
    frames: int | None = None,
    animated: AnimationKind | None = None,
    is_sheet: bool = False,
) -> Provenance:
    """The provenance of an image file; the optional arguments are the fields of ``Provenance``."""
    dataset, rows = origin.model.settings.spec, _rows(images)
    return Provenance(
        version=__version__,
        checkpoint=origin.model.sha256,
        backend=origin.model.backend,
        settings=origin.settings,
        rows=rows,
        columns=columns,
        classes=() if dataset.has_digits else tuple(dataset.class_names[row.digit] for row in rows),
        walk=stored(origin.process),
        # Intervals are stored as they are typed.
        sweeps=tuple(
            Sweep(name, tuple(v if isinstance(v, int | float) else str(v) for v in values)) for name, values in sweeps
        ),
        film=view,
        frames=frames,
        animated=animated,
        sheet=is_sheet,
    )


def _rows(images: Sequence[Sample | SampleSpec]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for image in images:
        last = rows[-1] if rows else None
        if last is not None and (image.label, image.seed) == (last.digit, last.seed + last.number):
            rows[-1] = last._replace(number=last.number + 1)
        else:
            rows.append(Row(image.label, image.seed))
    return tuple(rows)
