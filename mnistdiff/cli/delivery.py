"""Digits on their way to files, to a pipe and to the terminal, as they are drawn."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.bundles import Command, Option, bundled
from mnistdiff.cli.drawing import about
from mnistdiff.cli.films import Film, Films, Gif, View
from mnistdiff.cli.output import PIPE, Output, file_name, undone_on_failure
from mnistdiff.cli.progress import Meter, meter

if TYPE_CHECKING:
    from mnistdiff.engine.inference.editing import RePaint, SDEdit
    from mnistdiff.engine.inference.model import Model
    from mnistdiff.engine.inference.sampling import Sample, SampleSpec
    from mnistdiff.settings import SampleSettings

_Where = Annotated[
    str,
    typer.Option("-o", "--output", metavar="DIR|FILE|-", help="A folder, or one .png: a sheet if of several images."),
]
_Show = Annotated[bool, typer.Option("--show", help="Draw the digits in the terminal, too.")]


def delivers(*, after: str, default: str) -> Callable[[Command], Command]:
    """Give a command the options of where its digits go; it gets them as one, ``delivery``.

    Args:
        after: its parameter behind which they stand.
        default: of ``--output``.
    """
    offered = {
        "output": Option(_Where, default),
        "show": Option(_Show, False),
        "gif": Option(Gif),
        "film": Option(Film),
        "view": Option(View, "x_t"),
        "force": Option(options.Force, False),
        "json": Option(options.Json, False),
        "quiet": Option(options.Quiet, False),
    }
    return bundled(offered, after=after, into="delivery", build=Delivery)


class Delivery:
    """Where drawn digits go.

    Args:
        parameters: the options above, by name.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._json, self._show, self._force = parameters["json"], parameters["show"], parameters["force"]
        self.quiet = parameters["quiet"] or self._json
        self._notices: Sequence[str] = ()

    def check(self) -> None:
        """Look at the options alone, which takes no time.

        Raises:
            SettingsError: if they contradict each other.
        """
        self._target = Output.parse(self._parameters["output"], as_json=self._json)
        self._films = Films(self._parameters, self._target)

    def expect(
        self, images: "Sequence[SampleSpec]", *, columns: int = 0, process: "SDEdit | RePaint | None" = None
    ) -> None:
        """Refuse these images, before the first is drawn, if they would find no room or something there already.

        ``columns`` and ``process`` are as for ``Trajectory``.

        Raises:
            SettingsError: saying what is in the way.
        """
        from mnistdiff.engine.outputs.sheets import require_image_count

        self._images, self._columns = images, columns
        if self._target.folder is None:
            require_image_count(len(images))
        self._target.refuse_existing([file_name(i.label, i.seed) for i in images], force=self._force)
        self._films.watch(images, columns=columns, process=process)

    def draw(
        self,
        model: "Model",
        settings: "SampleSettings",
        process: "SDEdit | RePaint | None" = None,
        *,
        notices: Sequence[str] = (),
    ) -> None:
        """Draw the images that were expected, and write each as soon as it is there; then tell the names.

        ``notices`` are of the picture that the process starts from, for JSON.
        """
        from mnistdiff.engine.inference.process import FROM_NOISE
        from mnistdiff.engine.inference.sampling import sample
        from mnistdiff.engine.outputs.encode import encode_samples

        self._notices = notices
        way = process or FROM_NOISE
        with undone_on_failure(force=self._force) as written:
            drawings: list[Sample] = []
            with meter(label="drawing", quiet=self.quiet) as shown:
                if self._show and process is not None:
                    shown.digits([process.image])  # as the program sees it
                for progress in sample(model, self._images, settings, process=way, on_step=self._films.add):
                    shown.advance(progress.done, total=progress.total, images=len(progress.results))
                    if self._show and progress.results:
                        shown.digits([drawing.pixels for drawing in progress.results])
                    if self._target.folder is None:
                        drawings += progress.results
                        continue
                    for drawing in progress.results:
                        written.append(self._target.path_of(file_name(drawing.label, drawing.seed)))
                        self._write_one(drawing, encode_samples([drawing], model, settings, process=way), model, shown)
            written += [self._target.file, *self._films.paths]
            if drawings:
                content = encode_samples(drawings, model, settings, columns=self._columns, process=way)
                self._write_all(drawings, content, model)
            self._films.write(model, settings, way, as_json=self._json)

    def _write_one(self, drawing: "Sample", content: bytes, model: "Model", shown: Meter) -> None:
        name = self._target.write(file_name(drawing.label, drawing.seed), content)
        if self._json:
            told = {"path": name, "digit": drawing.label, "seed": drawing.seed}
            console.result_json({**told, **about(model.info, *self._notices)})
        else:
            shown.result(name)

    def _write_all(self, drawings: "Sequence[Sample]", content: bytes, model: "Model") -> None:
        name = self._target.write("", content)
        if self._json:
            images = [{"digit": d.label, "seed": d.seed} for d in drawings]
            console.result_json({"path": name, "images": images, **about(model.info, *self._notices)})
        elif self._target != PIPE:
            console.result(name)
