"""Layers of settings: the values of one source, and the data set that several sources name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnistdiff.conflicts import without_effect
from mnistdiff.errors import SettingsError, shown
from mnistdiff.pictures import PictureSettings, path_of_pictures
from mnistdiff.setting_types import PICTURES

Origin = str | Callable[[str], str]
"""The source of a layer's values: a file or "command line"; or a function of a setting's name, for variables of the
environment."""
Layer = tuple[Origin, Mapping[str, Any]]


@dataclass(frozen=True)
class Given:
    """The values of one layer, without nulls."""

    origin: Origin
    values: Mapping[str, Any]

    def origin_of(self, name: str) -> str:
        """The source of a setting, for messages."""
        return self.origin if isinstance(self.origin, str) else self.origin(name)

    def without(self, names: Sequence[str]) -> "Given":
        """The layer without the settings of these names."""
        return Given(self.origin, {name: value for name, value in self.values.items() if name not in names})


def one_dataset(layers: Sequence[Given]) -> list[Given]:
    """The layers with one data set, and the folder or file of pictures as ``data_dir`` of its layer.

    Variables name the folder of the data sets that have names: for pictures it has no effect.

    Raises:
        SettingsError: if the layer that names pictures has another ``data_dir``, or the strongest layer says how to
            read pictures where none are read.
    """
    deciding = next((k for k in reversed(range(len(layers))) if "dataset" in layers[k].values), None)
    dataset = "mnist" if deciding is None else layers[deciding].values["dataset"]
    is_of_pictures = dataset == PICTURES or path_of_pictures(dataset) is not None
    result = []
    for number, layer in enumerate(layers):
        is_variable = not isinstance(layer.origin, str)
        dropped = ["dataset", "pictures", "classes"] if deciding not in (None, number) else []
        layer = layer.without([*dropped, *(["data_dir"] if is_of_pictures and is_variable else [])])
        result.append(_with_path(layer) if number == deciding else layer)
    if layers and (not is_of_pictures or any("pictures" in layer.values for layer in result)):
        _refuse_reading(layers[-1], "pictures that are prepared" if is_of_pictures else str(dataset))
    return result


def _with_path(layer: Given) -> Given:
    """A layer whose ``dataset`` is the path of pictures, with that as ``data_dir``; others as they are."""
    path = path_of_pictures(layer.values["dataset"])
    if path is None:
        return layer
    if "data_dir" in layer.values:
        named = f"`dataset` {shown(path)} ({layer.origin_of('dataset')})"
        raise without_effect("`data_dir`", named, "the pictures have one path")
    return Given(layer.origin, {**layer.values, "dataset": PICTURES, "data_dir": path})


def _refuse_reading(strongest: Given, dataset: str) -> None:
    """Raise SettingsError if a layer says how to read pictures, beside a data set whose images are as they are."""
    for name in PictureSettings.model_fields:
        if strongest.values.get(name, False) is not False:
            raise SettingsError(
                f"`{name}` has no effect on `dataset` {dataset}: it is for pictures",
                f"Leave out `{name}`, or name a folder or file of pictures as `dataset`.",
            )
