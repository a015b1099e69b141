"""Sampling to files: images, sheets, animations and labelled data sets, each written as it is sampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistdiff.cli import console
from mnistdiff.cli.model_input import about
from mnistdiff.cli.output import STDOUT, Output, undone_on_failure
from mnistdiff.cli.output_options import DatasetOptions, OutputOptions
from mnistdiff.cli.progress import Meter, meter
from mnistdiff.engine.storage import make_folder
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff import Model
    from mnistdiff.engine.inference.process import SamplingProcess
    from mnistdiff.engine.inference.sampling import Sample, SampleSpec
    from mnistdiff.engine.outputs.provenance import Origin
    from mnistdiff.engine.outputs.trajectory import Trajectory
    from mnistdiff.settings import SampleSettings


@dataclass(frozen=True)
class SampleJob:
    """Images to sample, and where they go.

    Attributes:
        specs: the images.
        options: where they go.
        columns: of a sheet, if it has no row for each class.
        notices: about the image that sampling starts from, for JSON.

    Raises:
        SettingsError: if there is no room for the images, or a file exists.
    """

    specs: "Sequence[SampleSpec]"
    options: OutputOptions
    columns: int = 0
    notices: Sequence[str] = ()

    def __post_init__(self) -> None:
        from mnistdiff.engine.outputs.images import file_name
        from mnistdiff.engine.outputs.sheets import require_image_count

        if self.options.target.folder is None:
            require_image_count(len(self.specs))
        names = [file_name(spec.label, spec.seed) for spec in self.specs]
        self.options.target.refuse_existing(names, force=self.options.force)

    def run(self, model: "Model", settings: "SampleSettings", process: "SamplingProcess") -> None:
        """Sample the images, write each as soon as it is complete, and print the names of the files.

        Args:
            model: to sample from.
            settings: how to sample.
            process: what to start from.

        Raises:
            SettingsError: if there are too many images for an animation, or too many steps for the model.
            StorageError, OSError: if a file cannot be written; none is left then.
        """
        from mnistdiff.engine.inference.editing import RePaint, SDEdit
        from mnistdiff.engine.outputs.provenance import Origin

        origin, options = Origin(model, settings, process), self.options
        samples: list[Sample] = []
        trajectory = self._trajectory(process, model.settings.spec.class_names)
        on_step = None if trajectory is None else trajectory.record
        with undone_on_failure(force=options.force) as written:
            with meter(quiet=options.quiet) as shown:

                def take(completed: "Sequence[Sample]") -> None:
                    if options.show:
                        shown.digits([each.pixels for each in completed])
                    if options.target.folder is None:
                        samples.extend(completed)
                        return
                    for each in completed:
                        self._write_one(each, origin, written, shown)

                if options.show and isinstance(process, SDEdit | RePaint):
                    shown.digits([process.image])  # as it is after preprocessing
                shown.follow(model.sampling(self.specs, settings, process=process, on_step=on_step), take)
            written += [options.target.file, *options.animations.files]
            if samples:
                self._write_sheet(samples, origin)
            if trajectory is not None:
                self._write_animations(trajectory, origin)

    def _write_one(self, sample: "Sample", origin: "Origin", written: list[Path | None], shown: Meter) -> None:
        from mnistdiff.engine.outputs.images import Images, file_name

        file = file_name(sample.label, sample.seed)
        written.append(self.options.target.path_of(file))
        name = self.options.target.write(file, Images([sample], origin).png())
        if self.options.json:
            values = {"path": name, "digit": sample.label, "seed": sample.seed}
            console.result_json({**values, **about(origin.model.info, *self.notices)})
        else:
            shown.result(name)

    def _write_sheet(self, samples: "Sequence[Sample]", origin: "Origin") -> None:
        from mnistdiff.engine.outputs.images import Images

        images = [{"digit": each.label, "seed": each.seed} for each in samples]
        values = {"images": images, **about(origin.model.info, *self.notices)}
        self.options.target.finish(
            Images(samples, origin, columns=self.columns).png(), values, as_json=self.options.json
        )

    def _trajectory(self, process: "SamplingProcess", class_names: "Sequence[str]") -> "Trajectory | None":
        """What records the states for the animations; None if there are none."""
        if not self.options.animations.files:
            return None
        from mnistdiff.engine.outputs.trajectory import Trajectory

        return Trajectory(
            self.specs,
            self.options.animations.tensor,
            columns=self.columns,
            process=process,
            class_names=class_names,
        )

    def _write_animations(self, trajectory: "Trajectory", origin: "Origin") -> None:
        from mnistdiff.engine.outputs.animation import kind_of
        from mnistdiff.engine.outputs.encode import encode_trajectory
        from mnistdiff.engine.outputs.provenance import make_provenance

        animations = self.options.animations
        for path in animations.files:
            source = make_provenance(
                origin,
                self.specs,
                view=animations.tensor,
                columns=self.columns,
                animated=kind_of(path) if path == animations.gif else None,
            )
            name = Output(file=path).write("", encode_trajectory(trajectory, source))
            if self.options.json:
                values = {"path": name, "frames": len(trajectory.frames), "view": animations.tensor}
                console.result_json({**values, **about(origin.model.info)})
            elif self.options.target == STDOUT:
                console.note(name)
            else:
                console.result(name)


@dataclass(frozen=True)
class DatasetJob:
    """A labelled data set to sample, and where it goes.

    Attributes:
        specs: the images.
        options: where they go.

    Raises:
        SettingsError: if there are too few images.
    """

    specs: "Sequence[SampleSpec]"
    options: DatasetOptions

    def __post_init__(self) -> None:
        from mnistdiff.engine.outputs.dataset_writers import LEAST_FOR_IDX

        if self.options.format == "idx" and len(self.specs) < LEAST_FOR_IDX:
            raise SettingsError(
                f"--format idx is a training and a test set: it needs at least {LEAST_FOR_IDX} images, "
                f"not {len(self.specs)}",
                "Use a larger --n, or another --format.",
            )

    def run(self, model: "Model", settings: "SampleSettings") -> None:
        """Sample the data set, write it as it is sampled, and print its name.

        Args:
            model: to sample from.
            settings: how to sample.

        Raises:
            StorageError, OSError: if it cannot be written; nothing is left then.
        """
        from mnistdiff.engine.outputs.dataset_writers import WRITERS

        path, kind = self.options.path, self.options.format
        make_folder(path.parent)
        with (
            WRITERS[kind](path, len(self.specs), model.settings.spec.image_size) as add,
            meter(quiet=self.options.quiet) as shown,
        ):
            shown.follow(model.sampling(self.specs, settings), add)
        if self.options.json:
            values = {"path": str(path), "format": kind, "images": len(self.specs), "seed": self.specs[0].seed}
            console.result_json({**values, **about(model.info)})
        else:
            console.result(str(path))
