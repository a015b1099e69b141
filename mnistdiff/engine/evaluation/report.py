"""Reports: of an evaluation, written as JSON and read again; of the likelihood of real images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, ConfigDict, Field, ValidationError, computed_field

from mnistdiff.engine.data.datasets import Split
from mnistdiff.engine.evaluation.results import CAS, ClassifierMetrics, Count, Memorization, Part
from mnistdiff.errors import BelowThresholdError, StorageError, explain
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Seed, WeightsName
from mnistdiff.settings_file import read_file_or_pipe

_MAX_BYTES = 2**20


class EvaluatedModel(Part):
    """The evaluated model; the attributes are those of ``ModelInfo``."""

    checkpoint: str
    sha256: str
    preset: str
    step: Count
    total_steps: Count | None = None
    images_seen: Count | None = None


class Sampling(SampleSettings):
    """The sample settings; ``seed`` is that of the first image, each next one has the next."""

    model_config = ConfigDict(extra="ignore")

    seed: Seed


class EvaluationReport(Part):
    """An evaluation report.

    Attributes:
        model: the evaluated model.
        sampling: sample settings and seed.
        num_images: that were measured.
        class_names: of the labels 0, 1, 2, ...; empty in reports of versions that knew digits alone.
        classifiers: metrics by the name of the reference classifier.
        cas: classification accuracy score; None if not measured.
        memorization: nearest training images; None if not measured.
        seconds: that sampling took.
        versions: of the program and of PyTorch.
        notices: sentences for the user, such as what was left out, and why.
    """

    model: EvaluatedModel
    sampling: Sampling
    num_images: Count
    class_names: tuple[str, ...] = ()
    classifiers: Mapping[str, ClassifierMetrics] = Field(
        min_length=1, validation_alias=AliasChoices("classifiers", "judges")
    )
    cas: CAS | None = None
    memorization: Memorization | None = Field(None, validation_alias=AliasChoices("memorization", "memorisation"))
    seconds: float | None = None
    versions: Mapping[str, str] = Field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def name_of(self, label: int) -> str:
        """The name of a class."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    @computed_field
    @property
    def images_per_second(self) -> float | None:
        """Sampling speed."""
        return round(self.num_images / self.seconds, 1) if self.seconds else None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file, or a pipe, that holds the JSON of a report.

        Raises:
            StorageError: if it cannot be read, or is something else.
        """
        try:
            content = read_file_or_pipe(path, max_bytes=_MAX_BYTES)
            if len(content) > _MAX_BYTES:
                raise _not_a_report(path, f"it holds more than {_MAX_BYTES // 2**20} MiB")
            return cls.model_validate(json.loads(content))
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}", "Check the path.") from error
        except ValidationError as error:
            raise _not_a_report(path, explain(error)) from error
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise _not_a_report(path, "it is not JSON") from error
        except ValueError as error:  # neither a file nor a pipe; or a number of thousands of digits
            raise _not_a_report(path, str(error)[:80]) from error

    def require(self, *, min_accuracy: float | None = None, max_fcd: float | None = None) -> None:
        """Compare with thresholds, by the classifier with the worse value.

        Args:
            min_accuracy: in percent, 0 ... 100.
            max_fcd: at least 0.

        Raises:
            BelowThresholdError: naming each threshold that is missed, and the value.
        """
        missed = []
        name, least = min(self.classifiers.items(), key=lambda item: item[1].accuracy.share)
        # Multiplied before it is divided: 9,950 of 10,000 are 99.5 %, exactly.
        percent = 100 * least.accuracy.hits / least.accuracy.total
        if min_accuracy is not None and percent < min_accuracy:
            missed.append(f"accuracy {percent:.2f} % ({name}) is less than {min_accuracy:g} %")
        name, most = max(self.classifiers.items(), key=lambda item: item[1].fcd)
        if max_fcd is not None and most.fcd > max_fcd:
            missed.append(f"fcd {most.fcd:.4g} ({name}) is more than {max_fcd:g}")
        if missed:
            raise BelowThresholdError(" and ".join(missed))


class LikelihoodReport(Part):
    """The variational bound of a model on real images, given their labels, in bits a dimension.

    Attributes:
        model: the measured model; weights: ``ema`` or ``raw``.
        dataset: name of the images; split: which of them.
        num_images: that were measured, classes as frequent as in the split.
        evaluations: most network evaluations of an image; timesteps: of the model. If there are as many evaluations,
            every term is computed, else the sum over t is estimated without bias.
        seed: of the noise and of the timesteps of the first image; each next one has the next.
        bits_per_dim: the bound on the negative log-likelihood.
        standard_error: over the images, of both the images and the estimate; None for a single image.
        terms: parts of ``bits_per_dim``: ``prior`` is L_T, ``denoising`` the sum of L_(t-1), ``decoder`` L_0.
        seconds: that it took.
        versions: of the program and of NumPy.
        notices: sentences for the user.
    """

    model: EvaluatedModel
    weights: WeightsName
    dataset: str
    split: Split
    num_images: Count
    evaluations: Count
    timesteps: Count
    seed: Count
    bits_per_dim: float
    standard_error: float | None
    terms: Mapping[str, float] = Field(min_length=1)
    seconds: float
    versions: Mapping[str, str]
    notices: tuple[str, ...] = ()

    @computed_field
    @property
    def shares(self) -> Mapping[str, float]:
        """The terms as shares of ``bits_per_dim``."""
        return {name: value / self.bits_per_dim for name, value in self.terms.items()}


def _not_a_report(path: Path, why: str) -> StorageError:
    return StorageError(f"{path} is not the evaluation of a model: {why}", "Give a report that `evaluate` has written.")
