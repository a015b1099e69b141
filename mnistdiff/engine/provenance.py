"""What a picture says of itself, and the same picture drawn again from that."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnistdiff import __version__
from mnistdiff.engine.editing import Edit, Inpaint
from mnistdiff.engine.rendering.grid import labelled_grid
from mnistdiff.engine.rendering.picture import Picture
from mnistdiff.engine.rendering.png import encode_png
from mnistdiff.engine.sampling import FROM_NOISE, Drawing, Model, draw, load_model, requests
from mnistdiff.errors import SettingsError, StorageError
from mnistdiff.settings import NUM_DIGITS, SampleSettings, Seed, explain

KEYWORD = "mnistdiff"
"""The text chunk of a PNG that holds its provenance, as JSON."""
MAX_SHEET_IMAGES = 10_000


class Row(NamedTuple):
    """``number`` images of a digit, with the seeds ``seed``, ``seed + 1``, ..."""

    digit: Annotated[int, Field(ge=0, lt=NUM_DIGITS)]
    seed: Seed
    number: Annotated[int, Field(ge=1, le=MAX_SHEET_IMAGES)] = 1


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, Field(max_length=40)]
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    backend: Literal["onnx", "torch"]
    settings: SampleSettings
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_SHEET_IMAGES)]
    columns: Annotated[int, Field(ge=0, le=MAX_SHEET_IMAGES)] = 0
    walk: Edit | Inpaint | None = None

    @model_validator(mode="after")
    def _fits_on_a_sheet(self) -> Self:
        if sum(row.number for row in self.rows) > MAX_SHEET_IMAGES:
            raise ValueError(f"more than {MAX_SHEET_IMAGES} images")
        return self

    @classmethod
    def of(cls, png: Picture) -> "Provenance":
        """What a PNG file says of itself.

        Raises:
            StorageError: if it is damaged, or says nothing that this program wrote.
        """
        text = png.text().get(KEYWORD)
        if text is None:
            raise StorageError(
                f"{png.name} does not say how it was drawn", "Give a PNG that mnistdiff drew, as it was drawn."
            )
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise _not_ours(png.name, explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise _not_ours(png.name, "it is not JSON") from error


def _not_ours(name: str, why: str) -> StorageError:
    return StorageError(f"what {name} says of how it was drawn is not valid: {why}", "Give the file as it was drawn.")


def picture(
    drawings: Sequence[Drawing],
    model: Model,
    settings: SampleSettings,
    *,
    columns: int = 0,
    walk: Edit | Inpaint | None = None,
) -> bytes:
    """A PNG that says how it was drawn: one image; or of several a labelled sheet, a row for each digit.

    With ``columns``, the digits of a number, several images are strips of that number.
    """
    source = Provenance(
        version=__version__,
        checkpoint=model.sha256,
        backend=model.backend,
        settings=settings,
        rows=_rows(drawings),
        columns=columns,
        walk=walk,
    )
    text = {"Software": f"mnistdiff {__version__}", KEYWORD: source.model_dump_json(exclude_none=True)}
    return encode_png(drawings[0].pixels if len(drawings) == 1 else sheet(drawings, columns=columns), text)


def _rows(drawings: Sequence[Drawing]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for drawing in drawings:
        last = rows[-1] if rows else None
        if last is not None and (drawing.digit, drawing.seed) == (last.digit, last.seed + last.number):
            rows[-1] = last._replace(number=last.number + 1)
        else:
            rows.append(Row(drawing.digit, drawing.seed))
    return tuple(rows)


def require_room(count: int) -> None:
    """Raise SettingsError if ``count`` images are too many for one sheet, before they are drawn."""
    if count > MAX_SHEET_IMAGES:
        raise SettingsError(
            f"{count:,} images are too many for one sheet", f"Use -o FOLDER/, or at most {MAX_SHEET_IMAGES:,}."
        )


def sheet(drawings: Sequence[Drawing], *, columns: int = 0, scale: int = 2) -> NDArray[np.uint8]:
    """Many images, in the order in which they were drawn: a labelled row for each digit, or rows of ``columns``.

    ``scale`` is how much each is enlarged.
    """
    if columns:
        strips = [drawings[start : start + columns] for start in range(0, len(drawings), columns)]
        return labelled_grid([("", [drawing.pixels for drawing in strip]) for strip in strips], scale=scale)
    rows: dict[int, list[NDArray[np.uint8]]] = {}
    for drawing in drawings:
        rows.setdefault(drawing.digit, []).append(drawing.pixels)
    return labelled_grid([(str(digit), images) for digit, images in rows.items()], scale=scale)


def reproduce(source: Provenance, checkpoint: Path) -> bytes:
    """Draw a picture again.

    Args:
        source: what it says of itself.
        checkpoint: the file with that digest.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        SettingsError: if the backend cannot be had here.
    """
    model = load_model(checkpoint, weights=source.settings.weights, device="cpu", backend=source.backend)
    wanted = [request for row in source.rows for request in requests([row.digit], row.number, row.seed)]
    steps = draw(model, wanted, source.settings, walk=source.walk or FROM_NOISE)
    drawings = [drawing for progress in steps for drawing in progress.drawings]
    return picture(drawings, model, source.settings, columns=source.columns, walk=source.walk)
