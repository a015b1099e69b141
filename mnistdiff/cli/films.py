"""``--gif`` and ``--film``: how digits come out of noise, beside the digits themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnistdiff.cli import console
from mnistdiff.cli.drawing import about
from mnistdiff.cli.output import PIPE, Output
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.diffusion.samplers import SampleStep
    from mnistdiff.engine.inference.model import Model
    from mnistdiff.engine.inference.process import SamplingProcess
    from mnistdiff.engine.inference.sampling import SampleSpec
    from mnistdiff.settings import SampleSettings

Gif = Annotated[
    Path | None, typer.Option("--gif", metavar="FILE", help="Also animate how they come out of noise: .gif or .png.")
]
Film = Annotated[Path | None, typer.Option("--film", metavar="FILE", help="The same as a strip: .png.")]
View = Annotated[
    Literal["x_t", "x_0"],
    typer.Option("--view", help="What is animated: the noisy state, or the image predicted from it."),
]


class Films:
    """Watches a drawing and writes what was asked for; nothing, if nothing was.

    Args:
        parameters: of the command: ``gif``, ``film``, ``view`` and ``force``.
        beside: where the digits themselves go.

    Raises:
        SettingsError: if a file is of another kind, is there already, or is wanted for something else.
    """

    def __init__(self, parameters: dict[str, Any], beside: Output) -> None:
        self._piped = beside == PIPE
        self._gif, self._film, self._view = (parameters[name] for name in ("gif", "film", "view"))
        for flag, path, kinds in (("--gif", self._gif, (".gif", ".png")), ("--film", self._film, (".png",))):
            if path is None:
                continue
            if path.suffix.lower() not in kinds:
                raise SettingsError(f"{flag} {path}: it is written as {' or '.join(kinds)}", "Use a name that ends so.")
            remedy = f"Use --force to replace it, or {flag} with another name."
            Output(file=path).refuse_existing([], force=parameters["force"], remedy=remedy)
            if [self._gif, self._film, beside.file].count(path) > 1:
                raise SettingsError(f"{path} is wanted for two pictures", "Use another name for one of them.")

    def watch(self, wanted: "Sequence[SampleSpec]", *, columns: int, process: "SamplingProcess | None") -> None:
        """What is to be drawn; the rest as for ``Trajectory``."""
        from mnistdiff.engine.outputs.trajectory import Trajectory

        self._wanted, self._columns = wanted, columns
        from mnistdiff.engine.inference.process import FROM_NOISE

        asked = self._gif is not None or self._film is not None
        way = process or FROM_NOISE
        self._trajectory = Trajectory(wanted, self._view, columns=columns, process=way) if asked else None

    @property
    def paths(self) -> list[Path | None]:
        """Where they go; None for one that nobody asked for."""
        return [self._gif, self._film]

    def add(self, step: "SampleStep") -> None:
        """Another step is done."""
        if self._trajectory is not None:
            self._trajectory.record(step)

    def write(self, model: "Model", settings: "SampleSettings", process: "SamplingProcess", *, as_json: bool) -> None:
        """Write the files, and tell their names."""
        if self._trajectory is None:
            return
        from mnistdiff.engine.outputs.animation import kind_of
        from mnistdiff.engine.outputs.encode import encode_trajectory
        from mnistdiff.engine.outputs.provenance import make_provenance

        for path in (self._gif, self._film):
            if path is None:
                continue
            target = Output(file=path)
            source = make_provenance(
                model,
                settings,
                self._wanted,
                process=process,
                view=self._view,
                columns=self._columns,
                animated=kind_of(path) if path is self._gif else None,
            )
            name = target.write("", encode_trajectory(self._trajectory, source))
            if as_json:
                told = {"path": name, "frames": len(self._trajectory.frames), "view": self._view}
                console.result_json({**told, **about(model.info)})
            elif self._piped:
                console.note(name)
            else:
                console.result(name)
