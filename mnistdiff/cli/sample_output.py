"""Sampling to files: images, sheets, animations and labelled data sets, each written as it is sampled."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from mnistdiff.cli import console
from mnistdiff.cli.model_input import about
from mnistdiff.cli.output import STDOUT, Output, undone_on_failure
from mnistdiff.cli.output_options import DatasetOptions, OutputOptions
from mnistdiff.cli.progress import meter
from mnistdiff.engine.storage import make_folder
from mnistdiff.setting_types import Processes

if TYPE_CHECKING:
    from mnistdiff.engine.inference.model import DiffusionModel
    from mnistdiff.engine.inference.sampling import Sample, SampleSpec
    from mnistdiff.engine.outputs.provenance import Origin
    from mnistdiff.engine.outputs.trajectory import Trajectory
    from mnistdiff.sample_settings import SampleSettings


def write_images(
    origin: "Origin",
    specs: "Sequence[SampleSpec]",
    options: OutputOptions,
    *,
    columns: int = 0,
    notices: Sequence[str] = (),
    processes: Processes | None = None,
) -> None:
    """Sample images, write each as soon as it is complete, and print the names of the files.

    Args:
        origin: what samples the images.
        specs: the images.
        options: where they go.
        columns: of a sheet, if it has no row for each class.
        notices: about the image that sampling starts from, for JSON.
        processes: that sample, see ``sample_in_processes``; with an animation, this one alone.

    Raises:
        SettingsError: if there are too many images for an animation, or too many steps for the model.
        StorageError, OSError: if a file cannot be written; none is left then.
    """
    from mnistdiff.engine.inference.parallel import sample_in_processes
    from mnistdiff.engine.outputs.encode import encode_samples, file_name

    target, about_model = options.target, about(origin.model.info, *notices)
    dataset = origin.model.settings.spec
    sheet: list[Sample] = []
    trajectory = _trajectory(origin, specs, options, columns)
    how = origin.model, specs, origin.settings
    if trajectory is None:
        work = sample_in_processes(*how, processes=processes, process=origin.process)
    else:
        work = sample_in_processes(*how, process=origin.process, on_step=trajectory.record)
    with undone_on_failure(force=options.force) as written:
        with meter(quiet=options.quiet) as shown, closing(work):
            if options.show and origin.process.image is not None:
                shown.digits([origin.process.image])  # as it is after preprocessing
            for progress in work:
                shown.show(progress)
                if options.show and progress.results:
                    shown.digits([each.pixels for each in progress.results])
                if target.folder is None:
                    sheet.extend(progress.results)
                    continue
                for each in progress.results:
                    file = file_name(dataset, each.label, each.seed)
                    written.append(target.path_of(file))
                    values = {**dataset.named(each.label), "seed": each.seed, **about_model}
                    content = encode_samples([each], origin)
                    target.finish(content, values, as_json=options.json, name=file, tell=shown.result)
        written += [target.file, *options.animations]
        if sheet:
            images = [{**dataset.named(each.label), "seed": each.seed} for each in sheet]
            content = encode_samples(sheet, origin, columns=columns)
            target.finish(content, {"images": images, **about_model}, as_json=options.json)
        if trajectory is not None:
            _write_animations(trajectory, origin, specs, options, columns)


def _trajectory(
    origin: "Origin", specs: "Sequence[SampleSpec]", options: OutputOptions, columns: int
) -> "Trajectory | None":
    """What records the states for the animations; None if there are none."""
    if not options.animations:
        return None
    from mnistdiff.engine.outputs.trajectory import Trajectory

    names = origin.model.settings.spec.class_names
    return Trajectory(specs, options.tensor, columns=columns, process=origin.process, class_names=names)


def _write_animations(
    trajectory: "Trajectory", origin: "Origin", specs: "Sequence[SampleSpec]", options: OutputOptions, columns: int
) -> None:
    from mnistdiff.engine.outputs.animation import kind_of
    from mnistdiff.engine.outputs.encode import encode_trajectory
    from mnistdiff.engine.outputs.provenance import make_provenance

    for path in options.animations:
        kind = kind_of(path) if path == options.gif else None
        source = make_provenance(origin, specs, view=options.tensor, columns=columns, animated=kind)
        values = {"frames": len(trajectory.frames), "view": options.tensor, **about(origin.model.info)}
        tell = console.note if options.target == STDOUT else console.result
        Output(file=path).finish(encode_trajectory(trajectory, source), values, as_json=options.json, tell=tell)


def write_dataset(
    model: "DiffusionModel",
    settings: "SampleSettings",
    specs: "Sequence[SampleSpec]",
    options: DatasetOptions,
    processes: Processes,
) -> None:
    """Sample a labelled data set, write it as it is sampled, and print its name.

    Args:
        model: to sample from.
        settings: how to sample.
        specs: the images.
        options: where they go.
        processes: that sample, see ``sample_in_processes``.

    Raises:
        StorageError, OSError: if it cannot be written; nothing is left then.
    """
    from mnistdiff.engine.inference.parallel import sample_in_processes
    from mnistdiff.engine.outputs.dataset_writers import WRITERS

    path, kind = options.path, options.format
    make_folder(path.parent)
    with (
        WRITERS[kind](path, len(specs), model.settings.spec) as add,
        meter(quiet=options.quiet) as shown,
    ):
        shown.follow(sample_in_processes(model, specs, settings, processes=processes), add)
    if options.json:
        values = {"path": str(path), "format": kind, "images": len(specs), "seed": specs[0].seed}
        console.result_json({**values, **about(model.info)})
    else:
        console.result(str(path))
