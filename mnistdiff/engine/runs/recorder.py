"""The files of a training run: metrics, checkpoints, preview grids, the loss curve, and when each is written."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import encode_checkpoint, weights_in
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata, Fingerprint
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import Sample, sample, specs_for_labels
from mnistdiff.engine.network.build import load_network
from mnistdiff.engine.network.denoiser import TorchDenoiser
from mnistdiff.engine.network.device import execution_fingerprint
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.sheets import sheet
from mnistdiff.engine.runs.events import EpochDone, Event, Finished, Logged, Saved, Started
from mnistdiff.engine.runs.metrics import Record, held_out_losses
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.runs.space import space_notice
from mnistdiff.engine.storage import is_open_elsewhere, remove, write_atomically
from mnistdiff.engine.training.held_out import HeldOutLoss
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.engine.training.state import TrainState
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings

PREVIEW_COLUMNS = 8
_MOST_PREVIEWED = 208  # a data set of more than 26 classes has fewer columns
PREVIEW_SEED = 0
_PLOT_INTERVAL_SECONDS = 30.0
"""Between two plots of the loss curve within an epoch: each takes a third of a second."""


class Recorder:
    """Writes the files of a run while its state is trained.

    Args:
        run: locked by the caller.
        settings: of the run.
        state: in training; read, never changed.
        num_images: that are trained on.
        held_out: measures the loss of the others; None if there are none.
        execution: how it computes, as a phrase.
        notices: sentences for the user; empty ones are left out, and a warning of a small disk is added.
        stop: whether to stop; called during previews.
    """

    def __init__(
        self,
        run: RunDir,
        settings: TrainSettings,
        state: TrainState,
        *,
        num_images: int,
        held_out: HeldOutLoss | None,
        execution: str,
        notices: Iterable[str],
        stop: Callable[[], bool],
    ) -> None:
        self._run, self._settings, self._state, self._num_images = run, settings, state, num_images
        self._held_out, self._execution, self._stop = held_out, execution, stop
        self._total_steps = settings.total_steps(num_images)
        self._steps_per_epoch = settings.steps_per_epoch(num_images)
        self._notices = tuple(filter(None, [*notices, space_notice(run, settings, state, num_images=num_images)]))
        self._saved_step = -1
        self._fingerprint = Fingerprint(mnistdiff=__version__, **execution_fingerprint(state.device))
        self._images_since_log, self._logged_at, self._plotted_at = 0, time.monotonic(), 0.0

    def record(self, steps: Iterable[TrainStep]) -> Iterator[Event]:
        """Consume the steps of a training, and write the files that are due.

        Yields:
            each step, and the other events, each once its files are written.
        """
        yield from self._begin()
        for step in steps:
            yield step
            yield from self._after(step)
        yield from self._finish()

    def _begin(self) -> Iterator[Event]:
        """Write what a run has from its start, and a preview that is missing because the run was stopped before it."""
        state = self._state
        yield Started(
            run=self._run,
            settings=self._settings,
            device=state.device.type,
            execution=self._execution,
            parameters=state.model.num_parameters,
            num_images=self._num_images,
            step=state.step,
            total_steps=self._total_steps,
            steps_per_epoch=self._steps_per_epoch,
            notices=self._notices,
        )
        # At once: a run killed in its first minute can be resumed, and a full disk is known before the first step.
        self._save()
        self._run.write_settings(self._settings)
        if state.step < self._total_steps and self._run.metrics_file.exists():
            self._run.rewind_metrics(state.step, log_every=self._settings.log_every)
        epoch, in_epoch = divmod(state.step, self._steps_per_epoch)
        if epoch > 0 and in_epoch == 0:
            yield from self._preview(epoch)

    def _after(self, step: TrainStep) -> Iterator[Event]:
        """Write what is due after a step: metrics, the state, at the end of an epoch a preview and the loss curve."""
        self._images_since_log += step.batch_size
        epoch, in_epoch = divmod(step.step, self._steps_per_epoch)
        # Metrics before the state: a killed run records again what comes after the state that it resumes from.
        if step.step % self._settings.log_every == 0 or step.step == self._total_steps:
            yield self._log(step)
        if in_epoch == 0:
            yield self._epoch_done(epoch)
            yield from self._save(keep_epoch=epoch if _is_due(epoch, self._settings.checkpoint_every) else None)
            if not self._stop():
                yield from self._preview(epoch)
                self._plot()
        elif step.step % self._settings.save_every == 0:
            self._save()

    def _finish(self) -> Iterator[Event]:
        """Write what is due at the end of a training, complete or stopped."""
        if self._saved_step != self._state.step:
            self._save()
        if self._state.step >= self._total_steps:
            write_atomically(self._run.weights, encode_checkpoint(self._metadata("weights"), self._state.ema_tensors()))
            yield Saved(self._run.weights)
        self._plot()
        held_out = self._state.held_out
        yield Finished(
            run=self._run,
            settings=self._settings,
            step=self._state.step,
            total_steps=self._total_steps,
            epoch=self._settings.epochs_done(self._state.step, self._num_images),
            loss=self._state.recent_loss,
            notices=tuple(filter(None, [*self._notices, held_out.notice(self._total_steps) if held_out else ""])),
            held_out=held_out,
        )

    def _log(self, step: TrainStep) -> Logged:
        """Record the recent loss, the learning rate, the speed since the last record, and the held-out loss if due."""
        seconds = time.monotonic() - self._logged_at
        speed = self._images_since_log / seconds if seconds > 0 else 0.0
        self._images_since_log, self._logged_at = 0, time.monotonic()
        epoch = (step.step - 1) // self._steps_per_epoch + 1
        record: Record = {
            "kind": "step",
            "step": step.step,
            "epoch": epoch,
            "images_seen": self._settings.images_seen(step.step, self._num_images),
            "loss": step.recent_loss,
            "lr": step.lr,
            "images_per_second": round(speed, 1),
        }
        held_out = None
        if self._held_out is not None and self._held_out.is_due(step.step):
            held_out = self._held_out.measure(self._state)
            record["held_out_loss"] = held_out.loss
            self._logged_at = time.monotonic()  # the speed is that of training alone
        self._run.append_metrics(record)
        if time.monotonic() - self._plotted_at > _PLOT_INTERVAL_SECONDS:
            self._plot()
        return Logged(step.step, epoch, step.recent_loss, step.lr, speed, held_out)

    def _epoch_done(self, epoch: int) -> EpochDone:
        """Record the mean loss of the epoch."""
        done = EpochDone(epoch, self._state.step, self._state.epoch_loss_sum / self._steps_per_epoch)
        self._run.append_metrics({"kind": "epoch", "step": done.step, "epoch": done.epoch, "loss": done.loss})
        return done

    def _save(self, *, keep_epoch: int | None = None) -> tuple[Saved, ...]:
        """Write the complete state; with ``keep_epoch`` also as a file that stays, whose event is returned.

        The kept file comes first: a killed run resumes from the latest state, which must not claim an epoch whose
        files are not yet written.
        """
        content = encode_checkpoint(self._metadata("training"), self._state.to_tensors())
        kept = () if keep_epoch is None else (Saved(self._run.epoch_checkpoint(keep_epoch)),)
        for saved in kept:
            write_atomically(saved.path, content)
        # The first save writes the state that the training started from, perhaps over a damaged file.
        write_atomically(self._run.latest, content, previous=self._run.previous if self._saved_step >= 0 else None)
        self._saved_step = self._state.step
        # Final weights of an earlier end are stale once the training continues.
        remove(self._run.weights)
        return kept

    def _preview(self, epoch: int) -> Iterator[Saved]:
        """Sample every class from fixed noise, if that is due and not yet done; nothing if stopped meanwhile."""
        path = self._run.epoch_samples(epoch)
        if not _is_due(epoch, self._settings.sample_every) or path.exists():
            return
        began = time.monotonic()
        weights = weights_in(self._state.ema_tensors(), "ema")
        network = load_network(self._settings, weights, self._state.device, source="the model in training")
        model = DiffusionModel(TorchDenoiser(network), self._settings)
        # The same settings for the previews of all epochs, to be compared.
        planned_images = self._settings.images_seen(self._total_steps, self._num_images)
        settings = SampleSettings.for_model(self._settings, images_seen=planned_images)
        classes = range(self._settings.spec.num_classes)
        columns = max(1, min(PREVIEW_COLUMNS, _MOST_PREVIEWED // len(classes)))
        specs = specs_for_labels(classes, columns, PREVIEW_SEED)
        samples: list[Sample] = []
        for progress in sample(model, specs, settings):
            samples += progress.results
            if self._stop():
                return
        write_atomically(path, encode_png(sheet(samples)))
        self._logged_at += time.monotonic() - began  # the speed is that of training alone
        yield Saved(path, tuple(samples[::columns]))

    def _plot(self) -> None:
        """Plot the loss curve from the metrics."""
        from mnistdiff.engine.outputs.loss_plot import loss_curve

        records = [record for record in self._run.read_metrics() if record["kind"] == "step"]
        if records:
            steps, losses = [record["step"] for record in records], [record["loss"] for record in records]
            held_out = held_out_losses(records)
            plot = loss_curve(steps, losses, steps_per_epoch=self._steps_per_epoch, held_out=held_out)
            try:
                write_atomically(self._run.loss_plot, plot)
            except PermissionError as error:
                if not is_open_elsewhere(error):  # in an image viewer: the next curve will be written
                    raise
        self._plotted_at = time.monotonic()

    def _metadata(self, kind: Literal["training", "weights"]) -> CheckpointMetadata:
        state, settings = self._state, self._settings
        return CheckpointMetadata(
            kind=kind,
            settings=settings,
            step=state.step,
            epoch=settings.epochs_done(state.step, self._num_images),
            images_seen=settings.images_seen(state.step, self._num_images),
            num_train_images=self._num_images,
            seed=settings.seed,
            recent_losses=tuple(state.recent_losses),
            epoch_loss_sum=state.epoch_loss_sum,
            fingerprint=self._fingerprint,
            held_out=state.held_out,
        )


def _is_due(epoch: int, every: int) -> bool:
    """Whether something that happens every so many epochs happens after this one; 0 is never."""
    return every > 0 and epoch % every == 0
