"""``mnistdiff`` without a command on a terminal: sample digits, change settings, save images, train."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.output import create_output
from rich.prompt import Prompt

from mnistdiff.cli import console, options, variables
from mnistdiff.cli.exit_codes import ExitCode, exit_code_of
from mnistdiff.cli.model_input import find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output import DEFAULT_FOLDER, Output
from mnistdiff.cli.progress import meter
from mnistdiff.cli.signals import stop_on_signals
from mnistdiff.cli.train_options import SETTINGS
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.engine.cache import cache_folder
from mnistdiff.errors import MnistDiffError, SettingsError
from mnistdiff.preset_table import PRESETS
from mnistdiff.presets import resolve
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import MAX_SEED, Seed

if TYPE_CHECKING:
    from mnistdiff.arguments import Labels
    from mnistdiff.engine.inference.model import DiffusionModel
    from mnistdiff.engine.inference.sampling import Sample
    from mnistdiff.engine.outputs.images import Images

_HELP = """7, 2026      sample these digits; of a model of other classes: sneaker, bag
again        sample the same again, from new noise
g 3          guidance 3: follow the label harder (1 is plain)
steps 20     20 network evaluations per image
s 42         start at seed 42
save [FILE]  save the last images as PNG
t            train a model of your own
?            this help
q            quit (Ctrl-D)"""


def run() -> None:
    """Read and execute lines until the user quits."""
    console.note("mnistdiff samples handwritten digits.", *_HELP.splitlines())
    session = Session()
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
            session.do(line)
        except MnistDiffError as error:
            console.error(error.message, error.hint, code=exit_code_of(error), as_json=False)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            console.error(f"{where}{error.strerror or error}", "", code=ExitCode.FILE_SYSTEM, as_json=False)


def _history() -> History:
    """Lines of this and earlier sessions; of this one alone if the cache folder cannot be written."""
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


class Session:
    """The state of an interactive session: the model, the settings, and what was sampled last."""

    def __init__(self) -> None:
        self._given: dict[str, float] = {}
        self._seed: int | None = None
        self._labels: Labels = None
        self._model: DiffusionModel | None = None
        self._images: Images | None = None  # with all that determines them: settings that change later do not count

    def do(self, line: str) -> None:
        """Execute a line.

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
            self._sample(word)
        elif word.lower() in words:
            words[word.lower()](rest.strip())
        elif line and not self._load(self._given).settings.spec.has_digits:
            self._sample(line)
        elif line:
            console.note(*_HELP.splitlines())

    def _load(self, given: Mapping[str, Any]) -> "DiffusionModel":
        """The model for these settings: the last one, unless they have changed and need another."""
        if self._model is None or given != self._given:
            sampling = SamplingOptions(**given, machine=inference_settings(None, None))
            file = find_model(None, sampling)
            if self._model is None or file.sha256 != self._model.sha256:
                [(self._model, _)] = load_models(file, sampling, quiet=False)
        return self._model

    def _sample(self, text: str = "") -> None:
        """Sample the classes that a text names, or those of last time."""
        from mnistdiff.arguments import is_word, specs_of
        from mnistdiff.engine.inference.sampling import sample
        from mnistdiff.engine.outputs.images import Images
        from mnistdiff.engine.outputs.provenance import Origin

        seed = options.new_seed() if self._seed is None else self._seed
        model = self._load(self._given)
        dataset, settings = model.settings.spec, model.sample_settings(**self._given)
        labels: Labels = text if is_word(text, dataset) else [name.strip() for name in text.split(",")]
        specs = specs_of(dataset, labels if text else self._labels, 1, seed)
        self._labels = labels if text else self._labels
        samples: list[Sample] = []
        with meter(label="sampling") as shown:
            shown.follow(sample(model, specs, settings), samples.extend)
            shown.digits([each.pixels for each in samples])
        self._images = Images(samples, Origin(model, settings), columns=len(specs))
        console.note(f"seed {seed}, guidance {settings.guidance:g}, steps {settings.steps}")
        # The next ones are different, but can be sampled again.
        self._seed = None if self._seed is None else (self._seed + len(specs)) % (MAX_SEED + 1)

    def _again(self, rest: str) -> None:
        if rest or self._labels is None:
            raise SettingsError("again needs images sampled before", "Type digits first, such as 7 or 2026.")
        self._sample()

    def _set(self, name: str, text: str) -> None:
        given = {**self._given, name: _checked(SampleSettings.model_fields[name].rebuild_annotation(), text)}
        settings = self._load(given).sample_settings(**given)
        self._given = given
        console.note(f"{name} {getattr(settings, name):g}")

    def _set_seed(self, text: str) -> None:
        self._seed = _checked(Seed, text)
        console.note(f"seed {self._seed}")

    def _save(self, text: str) -> None:
        images = self._images
        if images is None:
            raise SettingsError("there is nothing to save yet", "Type digits first, such as 7 or 2026.")
        dataset, labels = images.origin.model.settings.spec, images.labels.tolist()
        others = f"-and-{len(labels) - 1}" * (len(labels) > 1)
        stem = f"digits_{''.join(map(str, labels))}" if dataset.has_digits else dataset.file_stem(labels[0]) + others
        name = f"{stem}_{images.seeds[0]}.png"
        target = Output.parse(text or f"{DEFAULT_FOLDER}{name}")
        if target.folder is not None:
            target = Output(file=target.folder / name)
        target.refuse_existing(force=False, hint="Give another name: save FILE.")
        console.result(target.write("", images.png()))

    def _train(self, rest: str) -> None:
        preset = rest or Prompt.ask("preset", choices=list(PRESETS), default="fast", console=console.talk())
        resolved = resolve([variables.layer(_SETTINGS), ("answer", {"preset": preset})])
        console.note("loading PyTorch and the images ...")
        with stop_on_signals() as stop:
            from mnistdiff.training_api import start_training

            finished = show_training(start_training(resolved, force=False, stop=stop), quiet=False)
        conclude(finished, as_json=False, quiet=False)
        self._model = None  # the newest run is a different one now


_SETTINGS = tuple(name for name in SETTINGS if name != "processes")
"""A session trains in its own process."""


def _checked(annotation: Any, text: str) -> Any:
    import typer

    try:
        return options.checked(annotation)(text)
    except typer.BadParameter as error:
        raise SettingsError(str(error.message), "Type ? for help.") from error
