"""What a model does without sampling: noise, preprocessing, classification, prediction at one timestep."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mnistdiff.arguments import Label, first_seed, label_of, several
from mnistdiff.engine.data.image_files import ImageSource, Picture
from mnistdiff.engine.data.transforms import from_uint8
from mnistdiff.engine.diffusion.predictions import diffuse
from mnistdiff.engine.inference.denoising import Denoised, denoise
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.progress import ShowProgress, collect, shown_as
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import validate
from mnistdiff.setting_types import Evaluations, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.data.preprocess import PreparedDigit
    from mnistdiff.engine.inference.diffusion_classifier import ClassPosterior


class PredictionModel(DiffusionModel):
    """The methods of ``Model`` that sample nothing."""

    def noise(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """The noise x_T that sampling starts from: normal numbers, shape (N, 1, H, W), an image for each seed."""
        return sampling_noise([validate("seeds", Seed, seed) for seed in seeds], 0, self.settings.spec.image_shape)

    def diffuse(self, image: NDArray[np.uint8], t: int, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Add noise to an image: x_t = alpha x_0 + sigma eps (Ho et al. 2020, Eq. 4), with the ``noise`` of each seed.

        Args:
            image: grey levels, uint8 (H, W), in the size of the training images.
            t: the timestep, 0 (almost clean) to T - 1 (almost pure noise).
            seeds: of the noise.

        Returns:
            shape (N, 1, H, W).
        """
        timestep = validate("t", Annotated[int, Field(ge=0, lt=self.schedule.num_train_timesteps)], t)
        alpha, sigma = self.schedule.alpha(timestep), self.schedule.sigma(timestep)
        return diffuse(from_uint8(image), self.noise(seeds), alpha, sigma).astype(np.float32)

    def preprocess(self, image: ImageSource) -> "PreparedDigit":
        """Prepare a picture as ``edit`` and ``classify`` do: size, position and contrast as in the training images.

        Args:
            image: as for ``edit``.

        Returns:
            its ``image``, uint8 (H, W), and ``notices`` of what may be wrong with it.

        Raises:
            NoDigitError: if no digit is found.
            StorageError: if it cannot be read.
        """
        from mnistdiff.engine.data.preprocess import preprocess

        return preprocess(Picture.of(image, name="`image`"), self.settings.spec)

    def classify(
        self,
        images: ImageSource | Iterable[ImageSource],
        *,
        evaluations: int | None = None,
        seed: int = 0,
        progress: ShowProgress = False,
    ) -> "tuple[ClassPosterior, ...]":
        """Classify images by how well the diffusion model predicts them from noise, given each label.

        Args:
            images: one image or several, each as for ``edit``; uint8 (N, H, W) are N images.
            evaluations: noise levels at which the labels are compared, by default 32: more are more exact.
            seed: of the noise.
            progress: as for ``sample``.

        Returns:
            for each image its ``label``, ``probabilities`` (of each label, sum 1) and ``is_undecided``.
        """
        from mnistdiff.engine.data.preprocess import preprocess
        from mnistdiff.engine.inference.diffusion_classifier import class_posteriors

        model, prepared = self.able_to("classify"), []
        for number, source in enumerate(several(images)):
            picture = Picture.of(source, name=f"image {number}")
            prepared.append(preprocess(picture, model.settings.spec).image)
        count = None if evaluations is None else validate("evaluations", Evaluations, evaluations)
        work = class_posteriors(model, prepared, evaluations=count, seed=validate("seed", Seed, seed))
        return tuple(collect(work, shown_as(progress)))

    def denoise(
        self, image: ImageSource, label: Label, t: int, *, seed: int | None = None, guidance: float | None = None
    ) -> Denoised:
        """Add noise to an image, and predict the noise and the image from it: one step of training, without learning.

        Args:
            image: as for ``edit``; an array in the size of the training images is used unchanged.
            label: the class that the network is told, by its label or its name.
            t: the timestep, 0 (almost clean) to T - 1 (almost pure noise).
            seed: of the noise; by default a new one.
            guidance: scale, 0 (unconditional), 1 (conditional) to 100; by default that of sampling at ``t``.

        Returns:
            the noisy image; the predictions with the label, without, and guided; the loss.
        """
        model = self.able_to("`denoise`")
        spec, T = model.settings.spec, model.schedule.num_train_timesteps
        number, timestep = label_of(spec, "label", label), validate("t", Annotated[int, Field(ge=0, lt=T)], t)
        if guidance is None:
            scale = model.sample_settings().guidance_at(timestep, T)
        else:
            scale = model.sample_settings(guidance=guidance).guidance
        is_ready = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == spec.image_shape[1:]
        pixels = np.asarray(image, np.uint8) if is_ready else model.preprocess(image).image
        return denoise(model, pixels, number, timestep, seed=first_seed(seed), guidance=scale)
