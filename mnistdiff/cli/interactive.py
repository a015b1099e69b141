"""``mnistdiff`` alone on a terminal: train, or type digits and see them."""

from pathlib import Path

from rich.prompt import Prompt

from mnistdiff.cli import console, options
from mnistdiff.cli.drawing import HowToDraw
from mnistdiff.cli.exit_codes import exit_code_of
from mnistdiff.cli.output import DEFAULT_FOLDER, Output, file_name
from mnistdiff.cli.progress import conclude, meter, show_training
from mnistdiff.cli.signals import stop_on_signals
from mnistdiff.errors import MnistDiffError
from mnistdiff.presets import PRESETS, resolve
from mnistdiff.settings import MachineSettings

_HELP = """Type digits, such as 7 or 2026, to see them drawn; t to train; q to leave."""


def run() -> None:
    """Ask, do, and ask again, until the user leaves."""
    console.note(f"mnistdiff draws handwritten digits.\n{_HELP}")
    while True:
        try:
            answer = Prompt.ask("digits, t or q", console=console.talk()).strip().lower()
        except EOFError:
            return
        try:
            if answer in ("q", "quit", "exit"):
                return
            if answer in ("t", "train"):
                _train()
            elif answer.isdecimal() and answer.isascii():
                _draw(answer)
            else:
                console.note(_HELP)
        except MnistDiffError as error:
            console.error(error.message, error.hint, code=exit_code_of(error), as_json=False)


def _train() -> None:
    preset = Prompt.ask("preset", choices=list(PRESETS), default="fast", console=console.talk())
    resolved = resolve([("answer", {"preset": preset})])
    console.note("loading PyTorch and the images ...")
    with stop_on_signals() as stop:
        from mnistdiff.engine import pipeline

        events = pipeline.train(resolved.train, resolved.machine, allow_fallback=True, stop=stop)
        finished = show_training(events, quiet=False)
    conclude(finished, as_json=False, quiet=False)


def _draw(number: str) -> None:
    """Draw each digit of a number once, show them side by side, and keep the files."""
    from mnistdiff.cli.digits import show_digits
    from mnistdiff.engine.provenance import picture
    from mnistdiff.engine.sampling import Drawing, Request, draw

    seed, output = options.new_seed(), Output(folder=Path(DEFAULT_FOLDER))
    model, settings = HowToDraw({}, MachineSettings()).load(None)
    wanted = [Request(int(digit), seed + place) for place, digit in enumerate(number)]
    drawings: list[Drawing] = []
    with meter(label="drawing") as shown:
        for progress in draw(model, wanted, settings):
            shown.advance(progress.done, total=progress.total)
            drawings += progress.drawings
    show_digits([drawing.pixels for drawing in drawings], console.talk())
    for drawing in drawings:
        console.result(output.write(file_name(drawing.digit, drawing.seed), picture([drawing], model, settings)))
