"""What a training writes into its run folder: metrics, checkpoints, previews, the loss curve."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import encode_checkpoint
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata, Fingerprint
from mnistdiff.engine.inference.model import Model
from mnistdiff.engine.inference.sampling import ALL_DIGITS, Sample, sample, specs_for_labels
from mnistdiff.engine.network.denoiser import TorchDenoiser, build_unet
from mnistdiff.engine.network.device import execution_fingerprint
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.sheets import sheet
from mnistdiff.engine.runs.events import EpochDone, Logged, Saved
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.storage import is_open_elsewhere, remove, write_atomically
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import SampleSettings, TrainSettings

PREVIEW_COLUMNS = 8
PREVIEW_SEED = 0
_PLOT_INTERVAL_SECONDS = 30.0
"""Between two drawings of the loss curve within an epoch: each takes a third of a second."""


class Recorder:
    """Keeps the files of a run current while ``state`` is trained.

    Attributes:
        saved_step: the step of the latest state that was written; -1 before the first.

    Args:
        run: locked by the caller.
        settings: of the run.
        state: in training; read, never changed.
        num_images: in the data set.
        stop: asked while a preview is drawn, which may take a while.
    """

    def __init__(
        self, run: RunDir, settings: TrainSettings, state: TrainState, num_images: int, stop: Callable[[], bool]
    ) -> None:
        self._run, self._settings, self._state, self._num_images = run, settings, state, num_images
        self._stop = stop
        self.saved_step = -1
        self._fingerprint = Fingerprint(mnistdiff=__version__, **execution_fingerprint(state.device))
        self._images_since_log, self._logged_at, self._plotted_at = 0, time.monotonic(), 0.0

    def log(self, step: TrainStep) -> Logged:
        """Record the recent loss, the learning rate and the speed since the last record."""
        seconds = time.monotonic() - self._logged_at
        speed = self._images_since_log / seconds if seconds > 0 else 0.0
        self._images_since_log, self._logged_at = 0, time.monotonic()
        epoch = (step.step - 1) // self._settings.steps_per_epoch(self._num_images) + 1
        logged = Logged(step.step, epoch, step.recent_loss, step.lr, speed)
        self._run.append_metrics(
            {
                "kind": "step",
                "step": step.step,
                "epoch": epoch,
                "images_seen": self._settings.images_seen(step.step, self._num_images),
                "loss": step.recent_loss,
                "lr": step.lr,
                "images_per_second": round(speed, 1),
            }
        )
        if time.monotonic() - self._plotted_at > _PLOT_INTERVAL_SECONDS:
            self.plot()
        return logged

    def count(self, step: TrainStep) -> None:
        """Count the images of a step for the speed."""
        self._images_since_log += step.batch_size

    def epoch_done(self) -> EpochDone:
        """Record the mean loss of the epoch that is just over."""
        steps_per_epoch = self._settings.steps_per_epoch(self._num_images)
        done = EpochDone(
            self._state.step // steps_per_epoch, self._state.step, self._state.epoch_loss_sum / steps_per_epoch
        )
        self._run.append_metrics({"kind": "epoch", "step": done.step, "epoch": done.epoch, "loss": done.loss})
        return done

    def save(self, *, keep_epoch: int | None = None) -> Path | None:
        """Write the complete state; with ``keep_epoch`` also as a file that later saves leave alone.

        The kept file comes first: the latest state is what a killed run goes on from, and it must not claim an epoch
        whose files were not yet written.

        Returns:
            the kept file.
        """
        content = encode_checkpoint(self._metadata("training"), self._state.to_tensors())
        kept = None
        if keep_epoch is not None:
            kept = self._run.epoch_checkpoint(keep_epoch)
            write_atomically(kept, content)
        # The first save of a process writes the state that it started from, perhaps over a damaged one.
        write_atomically(self._run.latest, content, previous=self._run.previous if self.saved_step >= 0 else None)
        self.saved_step = self._state.step
        # Weights of an earlier end are out of date now; the state just written holds newer ones.
        remove(self._run.weights)
        return kept

    def space_notice(self, total_steps: int) -> str:
        """A warning if the disk may be full before the end of the run; empty if there is room."""
        epochs_done, epochs = (
            self._settings.epochs_done(step, self._num_images) for step in (self._state.step, total_steps)
        )
        every = self._settings.checkpoint_every
        kept = epochs // every - epochs_done // every if every else 0
        # The latest, the previous, and the one being written.
        needed = (3 + kept) * sum(array.nbytes for array in self._state.to_tensors().values())
        free = shutil.disk_usage(self._run.path).free
        if free >= needed:
            return ""
        return (
            f"{self._run.path} has {free / 1e6:,.0f} MB left, and the checkpoints of this run will take up to "
            f"{needed / 1e6:,.0f} MB; make room, or keep fewer with a larger --checkpoint-every"
        )

    def save_weights(self) -> Path:
        """Write the averaged weights alone, to be sampled from and shared."""
        write_atomically(self._run.weights, encode_checkpoint(self._metadata("weights"), self._state.ema_tensors()))
        return self._run.weights

    def preview(self, epoch: int) -> Saved | None:
        """Draw every digit from fixed noise, as ``mnistdiff grid`` does; None if stopped on the way."""
        began = time.monotonic()
        weights = {name.removeprefix("ema."): array for name, array in self._state.ema_tensors().items()}
        network = build_unet(self._settings, weights, self._state.device, source="the model in training")
        model = Model(TorchDenoiser(network), self._settings)
        settings = SampleSettings.for_model(self._settings, images_seen=self._planned_images)
        drawings: list[Sample] = []
        for progress in sample(model, specs_for_labels(ALL_DIGITS, PREVIEW_COLUMNS, PREVIEW_SEED), settings):
            drawings += progress.results
            if self._stop():
                return None
        path = self._run.epoch_samples(epoch)
        write_atomically(path, encode_png(sheet(drawings)))
        self._logged_at += time.monotonic() - began  # the speed is that of training alone
        return Saved(path, tuple(drawings[::PREVIEW_COLUMNS]))

    @property
    def _planned_images(self) -> int:
        """Images seen at the end of the run: previews of all epochs are drawn in the same way, to be compared."""
        return self._settings.images_seen(self._settings.total_steps(self._num_images), self._num_images)

    def plot(self) -> None:
        """Draw the loss curve from the metrics."""
        from mnistdiff.engine.outputs.loss_plot import loss_curve

        records = [record for record in self._run.read_metrics() if record["kind"] == "step"]
        if records:
            steps, losses = [record["step"] for record in records], [record["loss"] for record in records]
            steps_per_epoch = self._settings.steps_per_epoch(self._num_images)
            try:
                write_atomically(self._run.loss_plot, loss_curve(steps, losses, steps_per_epoch=steps_per_epoch))
            except PermissionError as error:
                if not is_open_elsewhere(error):  # in a picture viewer: the next curve will be written
                    raise
        self._plotted_at = time.monotonic()

    def _metadata(self, kind: Literal["training", "weights"]) -> CheckpointMetadata:
        return CheckpointMetadata.at_step(
            self._state.step,
            self._settings,
            self._num_images,
            kind=kind,
            recent_losses=tuple(self._state.recent_losses),
            epoch_loss_sum=self._state.epoch_loss_sum,
            fingerprint=self._fingerprint,
        )
