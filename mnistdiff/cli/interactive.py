"""``mnistdiff`` alone on a terminal: type digits and see them, change how they are drawn, keep them, or train."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.output import create_output
from rich.prompt import Prompt

from mnistdiff.cli import console, options, variables
from mnistdiff.cli.drawing import SamplingOptions
from mnistdiff.cli.exit_codes import ExitCode, exit_code_of
from mnistdiff.cli.output import DEFAULT_FOLDER, Output
from mnistdiff.cli.progress import meter
from mnistdiff.cli.signals import stop_on_signals
from mnistdiff.cli.train_options import SETTINGS
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.engine.cache import cache_folder
from mnistdiff.errors import MnistDiffError, SettingsError
from mnistdiff.presets import PRESETS, resolve
from mnistdiff.settings import MAX_SEED, MachineSettings, SampleSettings, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.inference.model import Model
    from mnistdiff.engine.inference.sampling import Sample

_HELP = """7, 2026      draw these digits
again        the same digits from new noise
g 3          guidance 3: follow the label harder (1 is plain)
steps 20     more steps, finer strokes
s 42         begin at seed 42
save [FILE]  keep the last digits as PNG
t            train a model of your own
?            this help
q            leave (Ctrl-D)"""


def run() -> None:
    """Ask, do, and ask again, until the user leaves."""
    console.note("mnistdiff draws handwritten digits.", *_HELP.splitlines())
    table = Table()
    asking: PromptSession[str] = PromptSession(history=_history(), output=create_output(stdout=sys.stderr))
    while True:
        try:
            line = asking.prompt("mnistdiff> ").strip()
        except EOFError:
            return
        except KeyboardInterrupt:  # an empty line, as in a shell
            continue
        if line.lower() in ("q", "quit", "exit"):
            return
        try:
            table.do(line)
        except MnistDiffError as error:
            console.error(error.message, error.hint, code=exit_code_of(error), as_json=False)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            console.error(f"{where}{error.strerror or error}", "", code=ExitCode.FILE_SYSTEM, as_json=False)


def _history() -> History:
    """What was typed before, also in earlier sessions, where the cache folder can be written."""
    folder = cache_folder()
    if folder is None:
        return InMemoryHistory()
    file = folder / "history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


@dataclass(frozen=True)
class _Drawn:
    """Digits that were drawn, and all that they were drawn with: what is saved must say so, whatever is set since."""

    number: str
    drawings: "list[Sample]"
    model: "Model"
    settings: SampleSettings


class Table:
    """Where digits are drawn: the model, how to draw, and what was drawn last."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._seed: int | None = None
        self._number = ""
        self._drawn: _Drawn | None = None

    def do(self, line: str) -> None:
        """Do what a line says.

        Raises:
            MnistDiffError: if it cannot be done.
            OSError: if the file system refuses.
        """
        word, _, rest = line.partition(" ")
        words: dict[str, Callable[[str], None]] = {
            "again": self._again,
            "g": lambda text: self._set("guidance", text),
            "steps": lambda text: self._set("steps", text),
            "s": self._set_seed,
            "save": self._save,
            "t": self._train,
        }
        if word.isdecimal() and word.isascii() and not rest:
            self._number = word
            self._draw()
        elif word.lower() in words:
            words[word.lower()](rest.strip())
        elif line:
            console.note(*_HELP.splitlines())

    @cached_property
    def _loaded(self) -> "Model":
        model, _ = SamplingOptions({}, MachineSettings()).load(None)
        return model

    @property
    def _settings(self) -> SampleSettings:
        return self._loaded.sample_settings(**self._given)

    def _draw(self) -> None:
        from mnistdiff.engine.inference.sampling import sample, specs_for_number

        seed = options.new_seed() if self._seed is None else self._seed
        wanted, model, settings = specs_for_number(self._number, 1, seed), self._loaded, self._settings
        drawings: list[Sample] = []
        with meter(label="drawing") as shown:
            for progress in sample(model, wanted, settings):
                shown.advance(progress.done, total=progress.total)
                drawings += progress.results
            shown.digits([drawing.pixels for drawing in drawings])
        self._drawn = _Drawn(self._number, drawings, model, settings)
        console.note(f"seed {seed}, guidance {settings.guidance:g}, {settings.steps} steps")
        # The next one is another, but one that can be found again.
        self._seed = None if self._seed is None else (self._seed + len(wanted)) % (MAX_SEED + 1)

    def _again(self, rest: str) -> None:
        if rest or not self._number:
            raise SettingsError("again needs digits drawn before", "Type digits first, such as 7 or 2026.")
        self._draw()

    def _set(self, name: str, text: str) -> None:
        before = dict(self._given)
        self._given[name] = _checked(SampleSettings.model_fields[name].rebuild_annotation(), text)
        try:
            console.note(f"{name} {getattr(self._settings, name):g}")
        except MnistDiffError:
            self._given = before
            raise

    def _set_seed(self, text: str) -> None:
        self._seed = _checked(Seed, text)
        console.note(f"seed {self._seed}")

    def _save(self, text: str) -> None:
        from mnistdiff.engine.outputs.encode import encode_samples

        drawn = self._drawn
        if drawn is None:
            raise SettingsError("there is nothing to save yet", "Type digits first, such as 7 or 2026.")
        name = f"digits_{drawn.number}_{drawn.drawings[0].seed}.png"
        target = Output.parse(text or f"{DEFAULT_FOLDER}{name}")
        if target.folder is not None:
            target = Output(file=target.folder / name)
        target.refuse_existing([], force=False, remedy="Give another name: save FILE.")
        content = encode_samples(drawn.drawings, drawn.model, drawn.settings, columns=len(drawn.number))
        console.result(target.write("", content))

    def _train(self, rest: str) -> None:
        preset = rest or Prompt.ask("preset", choices=list(PRESETS), default="fast", console=console.talk())
        resolved = resolve([variables.layer(SETTINGS), ("answer", {"preset": preset})])
        console.note("loading PyTorch and the images ...")
        with stop_on_signals() as stop:
            from mnistdiff.api import start_training

            finished = show_training(start_training(resolved, force=False, stop=stop), quiet=False)
        conclude(finished, as_json=False, quiet=False)
        self.__dict__.pop("_loaded", None)  # the newest run is another now


def _checked(annotation: Any, text: str) -> Any:
    import typer

    try:
        return options.checked(annotation)(text)
    except typer.BadParameter as error:
        raise SettingsError(str(error.message), "Type ? for help.") from error
