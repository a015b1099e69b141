"""``mnistdiff inspect-checkpoint``, also called ``inspect``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnistdiff.cli import console, options
from mnistdiff.engine.data.class_names import DIGITS
from mnistdiff.errors import CheckpointError
from mnistdiff.pictures import Pictures

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.describe import Description
    from mnistdiff.engine.evaluation.model_card import ModelCard
    from mnistdiff.engine.evaluation.results import CAS, ClassifierMetrics

EXAMPLES = """
mnistdiff inspect
mnistdiff inspect runs/001-base/checkpoints/diffusion_checkpoint_epoch_0010.safetensors
mnistdiff inspect runs/001-base --json
"""


def inspect_checkpoint_command(
    source: options.Source = None,
    json: options.Json = False,
) -> None:
    """Show a checkpoint: settings, progress, versions, and whether its SHA-256 is valid.

    Exits with 3 if it is not.
    """
    from mnistdiff.engine.checkpoint.describe import describe
    from mnistdiff.engine.evaluation.model_card import model_card
    from mnistdiff.engine.runs.lookup import checkpoint_to_inspect

    path = checkpoint_to_inspect(source)
    description, card = describe(path), model_card(path)
    if json:
        console.result_json({**description.to_dict(), "card": card.model_dump(mode="json") if card else None})
    else:
        console.result_table(description.path, [*_rows(description), *(_card_rows(card) if card else [])])
    if not description.digest_valid:
        raise CheckpointError(
            f"{description.path} is corrupt: its SHA-256 does not match", "Use an earlier checkpoint of the run."
        )


_RECORDS = ("distillation", "pictures")
"""Settings that have a row of their own."""


def _rows(d: "Description") -> list[tuple[str, str]]:
    kinds = {"training": "complete state: resume and sample", "weights": "averaged weights: sample"}
    weights = [name for name, there in (("ema", d.has_ema), ("raw", d.has_raw)) if there]
    return [
        ("file", f"{d.path} ({console.size(d.bytes)})"),
        ("format version", str(d.format_version)),
        ("kind", kinds[d.kind]),
        ("step", f"{d.step} of {d.total_steps}"),
        ("epoch", str(d.epoch)),
        ("images seen", f"{d.images_seen:,} ({d.num_train_images:,} to train on)"),
        ("loss", "none yet" if d.loss is None else f"{d.loss:.5f} (mean of the last steps)"),
        *([("held out", _held_out(d.held_out))] if d.held_out else []),
        ("seed", str(d.seed)),
        *([("classes", _classes(d.class_names))] if d.class_names else []),
        ("parameters", f"{d.parameters:,}"),
        ("weights", ", ".join(weights)),
        *([("distilled", _distilled(d.settings["distillation"]))] if d.settings["distillation"] else []),
        *([("pictures", str(Pictures.model_validate(d.settings["pictures"])))] if d.settings["pictures"] else []),
        ("settings", ", ".join(f"{name}={value}" for name, value in d.settings.items() if name not in _RECORDS)),
        ("written by", ", ".join(f"{name} {value}" for name, value in d.fingerprint.items())),
        ("SHA-256", f"{d.sha256} ({'valid' if d.digest_valid else 'INVALID'})"),
    ]


def _held_out(record: dict[str, float]) -> str:
    return (
        f"loss {record['loss']:.5f} at step {record['step']} ({record['num_images']:,} images); "
        f"the least was {record['best_loss']:.5f} at step {record['best_step']}"
    )


def _classes(names: Sequence[str]) -> str:
    """The names of classes; of the ten digits the first and the last."""
    return "0 to 9" if tuple(names) == DIGITS else f"{len(names)}: {', '.join(names)}"


def _distilled(record: object) -> str:
    """The record of a student, and the name of its teacher if that is bundled."""
    from mnistdiff.distillation import Distillation
    from mnistdiff.engine.checkpoint.distilled import name_of_digest

    student = Distillation.model_validate(record)
    name = name_of_digest(student.teacher)
    return f"{student}{f'; the teacher is {name}' * bool(name)}"


def _card_rows(card: "ModelCard") -> list[tuple[str, str]]:
    report = card.evaluation
    return [
        ("trained by", f"{card.command} ({card.minutes:.0f} minutes, {card.hardware})"),
        *((f"classifier {name}", _metrics(metrics)) for name, metrics in report.classifiers.items()),
        *([("CAS", _cas(report.cas))] if report.cas else []),
        ("intended use", card.intended_use),
        ("limits", card.limits),
        ("license", card.license),
    ]


def _metrics(metrics: "ClassifierMetrics") -> str:
    """What one reference classifier measured, in a line."""
    accuracy = metrics.accuracy
    parts = [f"accuracy {accuracy.share:.2%} ({accuracy.low:.2%} to {accuracy.high:.2%})", f"fcd {metrics.fcd:.3f}"]
    if metrics.fcd_ratio is not None:
        parts.append(f"{metrics.fcd_ratio:.1f} times that of real test images")
    if metrics.prdc is not None:
        parts.append(f"coverage {metrics.prdc.coverage:.3f}")
    return ", ".join(parts)


def _cas(cas: "CAS") -> str:
    """The classification accuracy score, in a line."""
    return (
        f"{cas.score:.2%} of the real test images, by a classifier trained on {cas.num_images:,} generated ones "
        f"({cas.score_of_real_images:.2%} when trained on as many real ones)"
    )
