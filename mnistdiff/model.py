"""The model class of the Python API: sampling, editing, inpainting, interpolation, classification."""

from collections.abc import Callable, Sequence
from typing import Unpack

from mnistdiff.arguments import (
    InpaintOptions,
    Label,
    Labels,
    SampleOptions,
    ends_of,
    is_word,
    settings_of,
    specs_of,
)
from mnistdiff.engine.data.image_files import ImageSource, Picture
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.inference.editing import HALVES, RePaint, SDEdit, half
from mnistdiff.engine.inference.parallel import sample_in_processes
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.inference.sampling import Sample, SampleSpec
from mnistdiff.engine.outputs.images import Images, Interpolation
from mnistdiff.engine.outputs.provenance import Origin
from mnistdiff.engine.progress import ShowProgress, Work, collect, finish, shown_as
from mnistdiff.errors import SettingsError, validate
from mnistdiff.prediction_model import PredictionModel
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import (
    EDIT_GUIDANCE,
    EDIT_STRENGTH,
    INTERPOLATION_FRAMES,
    RESAMPLE_STEPS,
    Frames,
    Processes,
)

OnStep = Callable[[SampleStep], None]
"""Called with the state of the images after each step."""


class Model(PredictionModel):
    """A trained model; ``load`` returns one.

    Attributes:
        settings: of its training.
        info: path, digest and progress of the checkpoint; ``info.notices`` warns of a model with little training.
        backend: ``onnx`` or ``torch``, which evaluates the network.
        teacher: the model that does what this one cannot, loaded at its first use; the one of ``bundled`` alone has it.

    Raises:
        SettingsError: for an argument out of its range, an image without a digit, or a mask that marks nothing.
        NeedsTeacherError: if a distilled model that was named is asked for what only its teacher can do.
        StorageError: if a picture cannot be read.
        DivergedError: if an image is not finite.
        OutOfMemoryError: if not even one image fits into memory.
    """

    def __repr__(self) -> str:
        info = self.info
        return f"Model({info.checkpoint!r}, step {info.step:,} of {info.total_steps:,}, backend {self.backend!r})"

    def sampling(
        self,
        specs: Sequence[SampleSpec],
        settings: SampleSettings,
        *,
        processes: Processes | None = None,
        process: SamplingProcess = FROM_NOISE,
        on_step: OnStep | None = None,
    ) -> Work[Sample, None]:
        """Sample images step by step, as ``sample_in_processes`` does for every method below."""
        model = self.able_to(process.task, **dict(settings))
        return sample_in_processes(model, specs, settings, processes=processes, process=process, on_step=on_step)

    def sample(
        self,
        labels: Labels,
        n: int = 1,
        *,
        seed: int | None = None,
        processes: Processes | None = None,
        on_step: OnStep | None = None,
        progress: ShowProgress = False,
        **settings: Unpack[SampleOptions],
    ) -> Images:
        """Sample images from noise.

        Args:
            labels: a class by its label or its name (``7``, ``"sneaker"``), several, or a word of class names of one
                character, as in ``"2026"``, which is sampled in its order.
            n: images of each class (or of the word), 1 to 1,000,000.
            seed: of the first image of each class; the next have ``seed + 1``, ...; by default a new one.
            processes: that sample on the CPU, each in one thread, or ``auto``; by default this process alone, in all
                its threads. A script that uses them needs the line ``if __name__ == "__main__":``.
            on_step: called with the state of the images (of a batch of at most 64) after each step; it may raise, which
                ends the sampling.
            progress: True shows a line on stderr; a function is called with each ``Progress``.
            **settings: ``sampler``, ``steps``, ``guidance`` and the rest of ``SampleSettings``.

        Returns:
            uint8 (N, H, W).
        """
        model = self.able_to(**settings)
        dataset = model.settings.spec
        specs, columns = specs_of(dataset, labels, n, seed), len(labels) if is_word(labels, dataset) else 0
        number = None if processes is None else validate("processes", Processes, processes)
        return model._images(
            specs, settings_of(model, settings), processes=number, on_step=on_step, progress=progress, columns=columns
        )

    def edit(
        self,
        image: ImageSource,
        digit: Labels = None,
        *,
        strength: float = EDIT_STRENGTH,
        n: int = 1,
        seed: int | None = None,
        on_step: OnStep | None = None,
        progress: ShowProgress = False,
        **settings: Unpack[SampleOptions],
    ) -> Images:
        """Sample a digit in the style of another image (SDEdit).

        Args:
            image: grey levels, uint8 (H, W), of one digit; a PIL image; or an image file, by its path or as its
                bytes. The digit is located, scaled and centred as in MNIST; an image that already is so remains
                unchanged. For models of other pictures than characters, the image is used whole.
            digit: the class or classes of the new images, as for ``sample``; by default all.
            strength: how much noise replaces the image, above 0 (none) to 1 (all).
            n: images of each label.
            seed: as for ``sample``.
            on_step: as for ``sample``.
            progress: as for ``sample``.
            **settings: as for ``sample``; ``guidance`` is 2 by default.

        Returns:
            uint8 (N, H, W); its ``notices`` warn of an image that may not show one digit.
        """
        from mnistdiff.engine.data.preprocess import preprocess

        model, picture = self.able_to(SDEdit.task), Picture.of(image, name="`image`")
        prepared = preprocess(picture, model.settings.spec)
        process = SDEdit(image=prepared.image, strength=strength)
        options = settings_of(model, settings, guidance=EDIT_GUIDANCE)
        specs = specs_of(model.settings.spec, digit, n, seed)
        return model._images(specs, options, process, on_step=on_step, progress=progress, notices=prepared.notices)

    def inpaint(
        self,
        image: ImageSource,
        mask: ImageSource,
        digit: Labels = None,
        *,
        resample_steps: int = RESAMPLE_STEPS,
        n: int = 1,
        seed: int | None = None,
        on_step: OnStep | None = None,
        progress: ShowProgress = False,
        **settings: Unpack[InpaintOptions],
    ) -> Images:
        """Sample the missing part of an image (RePaint); the known part is unchanged.

        Args:
            image: as for ``edit``, but used whole, in the size of the training images.
            mask: the missing part: ``left``, ``right``, ``top`` or ``bottom``; bool (H, W), true where it is missing;
                or an image that is white where it is missing.
            digit: the class or classes of the new images, as for ``sample``; by default all.
            resample_steps: how often each step is repeated, 1 to 100, so that both parts become consistent.
            n: images of each label.
            seed: as for ``sample``.
            on_step: as for ``sample``.
            progress: as for ``sample``.
            **settings: ``guidance``, ``guidance_interval``, ``steps``, ``spacing``.

        Returns:
            uint8 (N, H, W).
        """
        from mnistdiff.engine.data.preprocess import known_part, read_mask

        for name in settings.keys() - InpaintOptions.__annotations__.keys():
            raise SettingsError(f"`{name}` has no effect on inpainting", "Leave it out.")
        model = self.able_to(RePaint.task)
        if isinstance(mask, str) and mask in HALVES:
            missing = half(mask, model.settings.spec.image_size)
        else:
            missing = read_mask(Picture.of(mask, name="`mask`").photograph(), model.settings.spec.image_size)
        known = known_part(Picture.of(image, name="`image`").photograph(), missing, border=model.settings.spec.border)
        process = RePaint(image=known, missing=missing, resample_steps=resample_steps)
        specs = specs_of(model.settings.spec, digit, n, seed)
        return model._images(specs, settings_of(model, settings), process, on_step=on_step, progress=progress)

    def interpolate(
        self,
        start: Label,
        end: Label,
        *,
        frames: int = INTERPOLATION_FRAMES,
        seed: int | None = None,
        end_seed: int | None = None,
        progress: ShowProgress = False,
        **settings: Unpack[SampleOptions],
    ) -> Interpolation:
        """Sample the images between two samples: noise and label are interpolated.

        Args:
            start: class of the first image, by its label or its name.
            end: class of the last image.
            frames: images, both ends counted, 2 to 200.
            seed: of the first image; by default a new one.
            end_seed: of the last image; by default ``seed``, so that only the digit changes.
            progress: as for ``sample``.
            **settings: as for ``sample``.

        Returns:
            uint8 (frames, H, W). The first and the last are those that ``sample`` gives for their labels and seeds.
        """
        from mnistdiff.engine.inference.interpolation import interpolate

        model = self.able_to(**settings)
        ends, options = ends_of(model.settings.spec, start, end, seed, end_seed), settings_of(model, settings)
        work = interpolate(model, *ends, validate("frames", Frames, frames), options)
        return Interpolation(finish(work, shown_as(progress)), ends, Origin(model, options))

    def _images(
        self,
        specs: Sequence[SampleSpec],
        settings: SampleSettings,
        process: SamplingProcess = FROM_NOISE,
        *,
        processes: Processes | None = None,
        on_step: OnStep | None,
        progress: ShowProgress,
        columns: int = 0,
        notices: tuple[str, ...] = (),
    ) -> Images:
        work = self.sampling(specs, settings, processes=processes, process=process, on_step=on_step)
        samples = collect(work, shown_as(progress))
        return Images(samples, Origin(self, settings, process), columns=columns, notices=notices)
