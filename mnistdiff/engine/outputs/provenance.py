"""What a picture says of itself: all that it takes to draw it again."""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from mnistdiff import __version__
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.inference.editing import RePaint, SDEdit
from mnistdiff.engine.inference.model import Model
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.inference.sampling import BATCH_SIZE, Sample, SampleSpec, View, specs_for_labels
from mnistdiff.engine.outputs.animation import Kind
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.sheets import Comparison, morph, sheet, strip, variants
from mnistdiff.engine.outputs.trajectory import Trajectory
from mnistdiff.errors import SettingsError, StorageError, explain
from mnistdiff.settings import NUM_DIGITS, SampleSettings, Seed

KEYWORD = "mnistdiff"
"""Under which a picture holds its provenance, as JSON."""
MAX_SHEET_IMAGES = 10_000
MAX_EVALUATIONS = 4_000
"""Network evaluations of one image that a picture may ask for unless the user allows more: some seconds of work."""
_EVALUATIONS_A_MINUTE = 40_000
_Word = Annotated[str, Field(max_length=40)]


class Row(NamedTuple):
    """``number`` images of a digit, with the seeds ``seed``, ``seed + 1``, ..."""

    digit: Annotated[int, Field(ge=0, lt=NUM_DIGITS)]
    seed: Seed
    number: Annotated[int, Field(ge=1, le=MAX_SHEET_IMAGES)] = 1


class Sweep(NamedTuple):
    """A setting of the sampler, and the values that are compared."""

    name: _Word
    values: Annotated[
        tuple[_Word | Annotated[float, Strict()] | Annotated[int, Strict()], ...],
        Field(min_length=1, max_length=MAX_SHEET_IMAGES),
    ]


class Provenance(BaseModel):
    """How a picture was drawn: with the same checkpoint, machine and library versions, all that its bytes depend on.

    Attributes:
        version: of mnistdiff.
        checkpoint: the SHA-256 of the checkpoint, as ``inspect`` shows it.
        backend: what evaluated the network.
        settings: sampler, steps, guidance and the rest.
        rows: the images, in the order in which they were drawn; one is the bare image, several are a labelled sheet.
        columns: 0, or the digits of a number: then several images are its strips, one below the other.
        walk: what drawing began with, if not with pure noise.
        sweeps: settings whose values the picture compares, as ``sheets.compared`` does.
        film: instead of the images the way to each, as ``Trajectory.film`` shows it.
        frames: instead of two images so many on the way from the first to the second.
        animated: a film or such a way not as a strip, but moving, in a file of this kind.
        sheet: one image as a labelled sheet, as ``grid`` draws it, not bare.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: _Word
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    backend: Literal["onnx", "torch"]
    settings: SampleSettings
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_SHEET_IMAGES)]
    columns: Annotated[int, Field(ge=0, le=MAX_SHEET_IMAGES)] = 0
    walk: SDEdit | RePaint | None = None
    sweeps: Annotated[tuple[Sweep, ...], Field(max_length=2)] = ()
    film: View | None = None
    frames: Annotated[int, Field(ge=2, le=200)] | None = None
    animated: Kind | None = None
    sheet: bool = False

    @model_validator(mode="after")
    def _fits_on_a_sheet(self) -> Self:
        number = sum(row.number for row in self.rows)
        if number * math.prod(len(sweep.values) for sweep in self.sweeps) > MAX_SHEET_IMAGES:
            raise ValueError(f"more than {MAX_SHEET_IMAGES} images")
        if self.film and number > BATCH_SIZE:
            raise ValueError(f"a film of more than {BATCH_SIZE} images")
        if self.frames is not None and number != 2:
            raise ValueError("frames lie between two images")
        on_the_way = self.walk is not None or self.film is not None
        if sum([on_the_way, bool(self.sweeps), self.frames is not None, self.sheet]) > 1:
            raise ValueError("more than one kind of picture")
        if self.animated and not (self.film or self.frames):
            raise ValueError("nothing moves")
        _ = self.ways  # which are made of what the sampler knows, or not at all
        return self

    def told(self) -> dict[str, Any]:
        """Plain values, for JSON: the first six fields always, the others where they say something."""
        always = {"version", "checkpoint", "backend", "settings", "rows", "columns"}
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if name in always or value}

    def text(self) -> dict[str, str]:
        """What the picture's file says of itself, by keyword."""
        return {"Software": f"mnistdiff {self.version}", KEYWORD: json.dumps(self.told())}

    @property
    def images(self) -> list[SampleSpec]:
        """The images, in the order in which they were drawn."""
        return [spec for row in self.rows for spec in specs_for_labels([row.digit], row.number, row.seed)]

    @property
    def ways(self) -> list[SampleSettings]:
        """The settings; or those of each way to draw that is compared, as ``sheets.variants`` has them.

        Raises:
            pydantic.ValidationError: for a setting or a value that the sampler does not know.
        """
        if not self.sweeps:
            return [self.settings]
        return [SampleSettings(**{**dict(self.settings), **way}) for way in variants(self.sweeps)]

    @property
    def comparison(self) -> list[Comparison]:
        """The settings that are compared, with their values as the sampler understands them."""
        return [
            (name, [getattr(SampleSettings(**{**dict(self.settings), name: value}), name) for value in values])
            for name, values in self.sweeps
        ]

    @property
    def process(self) -> SamplingProcess:
        """What to start from, and how to get to the image."""
        return self.walk or FROM_NOISE

    @property
    def evaluations(self) -> int:
        """How often the network is evaluated for an image to draw the picture, at most."""
        images = self.frames or sum(row.number for row in self.rows)
        rounds = self.walk.rounds if isinstance(self.walk, RePaint) else 1
        return sum(images * way.steps * rounds * (1 if way.guidance in {0, 1} else 2) for way in self.ways)

    @classmethod
    def of(cls, picture: Picture) -> "Provenance":
        """What a picture's file says of itself.

        Raises:
            StorageError: if it is damaged, or says nothing that this program wrote.
        """
        text = picture.text(KEYWORD)
        if text is None:
            raise StorageError(
                f"{picture.name} does not say how it was drawn", "Give a picture that mnistdiff drew, as it was drawn."
            )
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise _not_ours(picture.name, explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise _not_ours(picture.name, "it is not JSON") from error


def _not_ours(name: str, why: str) -> StorageError:
    return StorageError(f"what {name} says of how it was drawn is not valid: {why}", "Give the file as it was drawn.")


def make_provenance(
    model: Model,
    settings: SampleSettings,
    images: Sequence[Sample | SampleSpec],
    *,
    process: SamplingProcess = FROM_NOISE,
    **how: Any,
) -> Provenance:
    """The provenance of a picture of these images; ``how`` are its other fields."""
    return Provenance(
        version=__version__,
        checkpoint=model.sha256,
        backend=model.backend,
        settings=settings,
        rows=_rows(images),
        walk=None if process is FROM_NOISE else process,
        **how,
    )


def encode_with_provenance(image: NDArray[np.uint8], source: Provenance) -> bytes:
    """A PNG that says how it was drawn."""
    return encode_png(image, source.text())


def film(trajectory: Trajectory, source: Provenance) -> bytes:
    """What ``trajectory`` has seen, as a strip or moving, as its provenance wants it."""
    if source.animated is None:
        return encode_with_provenance(trajectory.film(), source)
    return trajectory.animated(source.animated, source.text())


def between(images: Sequence[NDArray[np.uint8]], source: Provenance) -> bytes:
    """Images on the way from one to another, as a strip or moving, as their provenance wants it."""
    if source.animated is None:
        return encode_with_provenance(strip(images), source)
    return morph(images, source.animated, source.text())


def picture(
    drawings: Sequence[Sample],
    model: Model,
    settings: SampleSettings,
    *,
    columns: int = 0,
    process: SamplingProcess = FROM_NOISE,
    labelled: bool = False,
) -> bytes:
    """A PNG that says how it was drawn: one image; or of several a labelled sheet, a row for each digit.

    With ``columns``, the digits of a number, several images are strips of that number. With ``labelled``, one image is
    a sheet, too.
    """
    alone = len(drawings) == 1
    image = drawings[0].pixels if alone and not labelled else sheet(drawings, columns=columns)
    source = make_provenance(model, settings, drawings, process=process, columns=columns, sheet=alone and labelled)
    return encode_with_provenance(image, source)


def _rows(images: Sequence[Sample | SampleSpec]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for image in images:
        last = rows[-1] if rows else None
        if last is not None and (image.label, image.seed) == (last.digit, last.seed + last.number):
            rows[-1] = last._replace(number=last.number + 1)
        else:
            rows.append(Row(image.label, image.seed))
    return tuple(rows)


def require_affordable(source: Provenance, *, name: str) -> None:
    """Raise SettingsError if drawing a picture again takes long: who made the file chose how long.

    Args:
        source: what the picture says of itself.
        name: what to call it in the error.
    """
    if source.evaluations > MAX_EVALUATIONS:
        minutes = math.ceil(source.evaluations / _EVALUATIONS_A_MINUTE)
        raise SettingsError(
            f"drawing {name} again takes up to {source.evaluations:,} evaluations of the network, about {minutes:,} "
            f"minute{'s' if minutes > 1 else ''} on two cores, and no more than {MAX_EVALUATIONS:,} are made unasked",
            "If you trust where it comes from, add --any-size.",
        )


def require_room(count: int) -> None:
    """Raise SettingsError if ``count`` images are too many for one sheet, before they are drawn."""
    if count > MAX_SHEET_IMAGES:
        raise SettingsError(
            f"{count:,} images are too many for one sheet", f"Use -o FOLDER/, or at most {MAX_SHEET_IMAGES:,}."
        )
