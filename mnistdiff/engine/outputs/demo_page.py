"""A trained model as one HTML page that samples, reads and completes images in a browser, without a server.

The page holds the weights in half precision and the program that computes with them, ``assets/demo``. Its scripts are
modules whose names are unique, so that they are joined to one by leaving out ``import`` and ``export``. Texts of the
checkpoint are escaped, and a Content-Security-Policy allows this script and no address.
"""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import Checkpoint
from mnistdiff.engine.checkpoint.model_info import ModelInfo
from mnistdiff.engine.data.datasets import MNIST, DatasetSpec
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.outputs.demo_weights import Arrays, classifier_weights, require_network
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import RESAMPLE_STEPS, WeightsName
from mnistdiff.settings import TrainSettings
from mnistdiff.shell import quoted

_PACKAGE = Path(__file__).parents[2]
_DEMO, _STUDIO = _PACKAGE / "assets" / "demo", _PACKAGE / "studio" / "static"
_STYLES = (_STUDIO / "style.css", _DEMO / "style.css")
_START = _DEMO / "start.js"
_IMPORT = re.compile(r"^import [^;]*? from '([^']+)';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def demo_page(checkpoint: Checkpoint, weights: WeightsName = "ema") -> bytes:
    """Build the page of a model.

    Args:
        checkpoint: of the network ``unet``.
        weights: which of its weights.

    Returns:
        UTF-8. Two bytes a parameter, times 4/3, are nearly all of it.

    Raises:
        SettingsError: for another network.
        CheckpointError: if the checkpoint does not hold those weights, or not of its network.
    """
    settings = checkpoint.metadata.settings
    arrays: Arrays = checkpoint.weights(weights)
    require_network(settings, arrays, source=str(checkpoint.path))
    info = ModelInfo.of(checkpoint.path, checkpoint.metadata, checkpoint.sha256)
    reader = _reader(settings)
    both = {**arrays, **(classifier_weights() if reader == "classifier" else {})}
    stored = dict(sorted(both.items()))  # the order in which a file is read varies
    facts = _facts(settings, info, weights) | {"read": reader, "tensors": [[n, a.shape] for n, a in stored.items()]}
    program, style = _joined(_START), "\n".join(path.read_text(encoding="utf-8") for path in _STYLES)
    halves = b"".join(np.ascontiguousarray(array, dtype="<f2").tobytes() for array in stored.values())
    page = Environment(
        loader=PackageLoader("mnistdiff", "assets/demo"),
        autoescape=True,  # a checkpoint may come from an untrusted source
        undefined=StrictUndefined,
        trim_blocks=True,
    ).get_template("page.html")
    text = page.render(
        policy=_policy(program, style),
        facts=facts,
        facts_json=_json_for_html(facts),
        notices=info.notices,
        parameters=sum(array.size for array in arrays.values()),
        version=__version__,
        program=Markup(program),
        style=Markup(style),
        kernel=_base64((_DEMO / "kernel.wasm").read_bytes()),
        weights=_base64(halves),
    )
    return text.encode(errors="backslashreplace")  # for file names that are not UTF-8


def _facts(settings: TrainSettings, info: ModelInfo, weights: WeightsName) -> dict[str, object]:
    """What the scripts know of the model."""
    dataset, schedule = settings.spec, NoiseSchedule.from_settings(settings)
    down, up = settings.blocks_by_level()
    student = settings.distillation
    sampling = SampleSettings.for_model(settings, images_seen=info.images_seen)
    command = quoted(info.checkpoint, windows=False) + (" --weights raw" if weights == "raw" else "")
    return {
        "name": info.checkpoint,
        "checkpoint": command,
        "sha256": info.sha256,
        "title": dataset.title,
        "classes": dataset.class_names,
        "options": _options(dataset),
        "has_digits": dataset.has_digits,
        "image_size": dataset.image_size,
        "ink_size": dataset.ink_size,
        "fit": dataset.fit,
        "border": dataset.border,
        "is_distilled": student is not None,
        "complete": student is None or student.steps > 1,
        "resample_steps": RESAMPLE_STEPS,
        "timesteps": settings.timesteps,
        "prediction": settings.prediction,
        "sampling": sampling.model_dump(mode="json"),
        "alphas": _base64(schedule.alphas.astype("<f8").tobytes()),
        "sigmas": _base64(schedule.sigmas.astype("<f8").tobytes()),
        "network": {
            "channels": settings.channels,
            "down_blocks": down,
            "up_blocks": up,
            "patch_size": settings.patch_size,
        },
    }


def _reader(settings: TrainSettings) -> str:
    """What reads images: the model itself, or for a distilled one of MNIST a classifier; empty if nothing can."""
    if settings.distillation is None:
        return "diffusion"
    return "classifier" if settings.spec.evaluated_as.name == MNIST.name else ""


def _options(dataset: DatasetSpec) -> list[str]:
    """The option of ``sample`` that names each class, for a POSIX shell."""
    if dataset.has_digits:
        return [f"--digit {label}" for label in range(dataset.num_classes)]
    return [f"--class={shlex.quote(name)}" for name in dataset.class_names]


def _joined(start: Path) -> str:
    """A module and all that it imports, as one script."""
    texts: dict[Path, str] = {}

    def visit(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for name in _IMPORT.findall(text):
            other = (path.parent / name).resolve()
            if other not in texts:
                visit(other)
        texts[path.resolve()] = _EXPORT.sub("", _IMPORT.sub("", text))

    visit(start)
    return "'use strict';\n" + "\n".join(texts.values())


def _policy(program: str, style: str) -> str:
    """A Content-Security-Policy of this script and this style alone, and of a worker that the script makes."""
    script, look = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (program, style))
    rules: Mapping[str, Iterable[str]] = {
        "default-src": ("'none'",),
        "script-src": (f"'sha256-{script}'", "'wasm-unsafe-eval'"),
        "style-src": (f"'sha256-{look}'",),
        "worker-src": ("blob:",),
        "img-src": ("data:",),
        "base-uri": ("'none'",),
        "form-action": ("'none'",),
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def _json_for_html(value: object) -> Markup:
    """JSON that stands in a ``<script>``: no ``<`` of it can end the element or begin a comment."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
