"""The command that makes images again, as a line that the user may copy into a shell."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistdiff.engine.checkpoint.pretrained import name_of, typed_name
from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.engine.inference.sampling import Sample, SampleSpec, specs_for_labels, specs_in_order
from mnistdiff.engine.outputs.provenance import Origin
from mnistdiff.shell import quoted


def sample_command(origin: Origin, images: Sequence[Sample | SampleSpec], *, columns: int = 0, file: str) -> str:
    """The command ``sample`` that writes these images; ``reproduce`` for those that no single call of it samples.

    Args:
        origin: what sampled them.
        images: at least one.
        columns: of their sheet: the characters of a word; 0 if they are no word.
        file: the name for ``-o``; of a file to ``reproduce``, where it lies.
    """
    dataset = origin.model.settings.spec
    specs = [SampleSpec(image.label, image.seed) for image in images]
    labels, seed = list(dict.fromkeys(spec.label for spec in specs)), specs[0].seed
    if columns and specs == specs_in_order([spec.label for spec in specs], seed):
        word = "".join(dataset.class_names[spec.label] for spec in specs[:columns])
        chosen, n = _value("--digits", word), len(specs) // columns
    else:
        chosen, n = _classes(dataset, labels), len(specs) // len(labels)
        if origin.process is not FROM_NOISE or specs != specs_for_labels(labels, n, seed):
            return f"mnistdiff reproduce {quoted(file)}"
    number = f" -n {n}" * (n > 1)
    return f"mnistdiff sample {chosen}{number} --seed {seed}{_how(origin)} -o {quoted(file)}"


def interpolate_command(origin: Origin, ends: tuple[SampleSpec, SampleSpec], frames: int, *, file: str) -> str:
    """The command ``interpolate`` that writes the images between two samples."""
    names = [origin.model.settings.spec.class_names[end.label] for end in ends]
    seeds = f"--seed {ends[0].seed}" + f" --to-seed {ends[1].seed}" * (ends[0].seed != ends[1].seed)
    words = f"{_value('--from', names[0])} {_value('--to', names[1])} --frames {frames} {seeds}"
    return f"mnistdiff interpolate {words}{_how(origin)} -o {quoted(file)}"


def _classes(dataset: DatasetSpec, labels: Sequence[int]) -> str:
    if dataset.has_digits:
        return f"--digit {','.join(map(str, labels))}"
    return " ".join(_value("--class", dataset.class_names[label]) for label in labels)


def _how(origin: Origin) -> str:
    """The options of the model and of the settings that are not its defaults."""
    model = origin.model
    name = name_of(Path(model.info.checkpoint)) or model.info.checkpoint
    options = [f"--checkpoint {quoted(typed_name(name) if name.startswith('bundled') else name)}"]
    options += [f"--{name.replace('_', '-')} {value}" for name, value in _given(origin).items()]
    options += [f"--weights {model.weights}"] * (model.weights != "ema")
    options += [f"--backend {model.backend}"] * (model.backend == "torch" and model.device == "cpu")
    options += [f"--device {model.device}"] * (model.device != "cpu")
    return "".join(f" {option}" for option in options)


def _given(origin: Origin) -> Mapping[str, object]:
    """The settings that must be given to the model so that it has those of the images."""
    given: dict[str, object] = {}
    for name in ("guidance", *type(origin.settings).model_fields):  # the defaults of the others may depend on it
        wanted = getattr(origin.settings, name)
        if getattr(origin.model.sample_settings(**given), name) != wanted:
            given[name] = wanted
    return given | ({"sampler": origin.settings.sampler} if "eta" in given else {})


def _value(flag: str, text: str) -> str:
    """An option with a value that may begin with a dash."""
    return shlex.quote(f"{flag}={text}") if text.startswith("-") else f"{flag} {quoted(text)}"
