"""``mnistdiff train``."""

from dataclasses import replace
from functools import cache, partial

from mnistdiff.cli import console, variables
from mnistdiff.cli.processes import processes_of, read_pictures, train_elsewhere, training
from mnistdiff.cli.progress import duration
from mnistdiff.cli.registry import flags_of, with_flags
from mnistdiff.cli.train_options import SETTINGS, TrainOptions
from mnistdiff.cli.training_view import conclude, show_training
from mnistdiff.pictures import MNIST_SIZE
from mnistdiff.presets import Resolved
from mnistdiff.setting_types import PICTURES
from mnistdiff.start import with_classes

EXAMPLES = """
mnistdiff train --preset fast
mnistdiff train --preset fast --max-minutes 60
mnistdiff train --epochs 200 --run-dir runs/mine
mnistdiff train --from runs/001-fast --preset fast --max-minutes 15 --lr 1e-3
mnistdiff train --config my.toml --lr 3e-4 --dry-run
"""


def train_command(options: TrainOptions) -> None:
    """Train a model.

    Settings can also come from a --config file, and those below from variables MNISTDIFF_NAME. Flags override
    variables, variables the file, the file the preset. A preset named by a flag or a variable replaces the preset of
    the file, with all values that the file has from it. Of --epochs, --max-steps and --max-minutes, the strongest
    source that sets one decides when training ends. The defaults below are those of the preset base.
    """
    start = options.model_to_start_from()
    resolved = options.resolve(start)
    quiet = options.quiet or options.json
    if not options.dry_run:
        read = cache(lambda: with_classes(read_pictures(resolved, quiet=quiet), start))
        if train_elsewhere(resolved.machine, lambda: processes_of(read()), quiet=quiet, prepare=read):
            return
        resolved = read()
    for warning in variables.unread(SETTINGS):
        console.warn(warning)
    for notice in resolved.notices:
        console.note(with_flags(f"note: {notice}", flags_of("train")), quiet=quiet)
    if options.dry_run:
        _print_settings(resolved, as_json=options.json)
        return
    with training() as stop:
        console.note("loading PyTorch and the images ...", quiet=quiet)
        from mnistdiff.training_api import or_continue, start_training

        if resolved.train.spec.image_size > MNIST_SIZE:
            console.note(_estimated(resolved), quiet=quiet)
        begin = partial(start_training, resolved, start=start, force=options.force, stop=stop)
        finished = show_training(or_continue(resolved, begin, stop=stop), quiet=quiet)
        if options.json:  # which leaves out notes
            finished = replace(finished, notices=(*resolved.notices, *finished.notices))
        conclude(finished, as_json=options.json, quiet=options.quiet)


def _estimated(resolved: Resolved) -> str:
    """What a training on larger images than those of MNIST takes."""
    from mnistdiff.engine.training.estimate import estimate

    size, found = resolved.train.spec.image_size, estimate(resolved.train)
    time = "" if resolved.machine.max_minutes is not None else f"{duration(found.seconds)} and "
    return (
        f"images of {size}x{size}: about {time}{console.size(found.bytes)} of memory, "
        f"{found.pixels:.1f} times as much as with {MNIST_SIZE}x{MNIST_SIZE}"
    )


def _print_settings(resolved: Resolved, *, as_json: bool) -> None:
    parts = [resolved.train, resolved.machine, *([resolved.reading] if resolved.train.dataset == PICTURES else [])]
    values = {name: value for part in parts for name, value in part.model_dump(mode="json").items()}
    if as_json:
        console.result_json(
            {name: {"value": value, "origin": resolved.origins[name]} for name, value in values.items()}
        )
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        console.result(f"{name:{width}}  {value!s:16}  {resolved.origins[name]}")
