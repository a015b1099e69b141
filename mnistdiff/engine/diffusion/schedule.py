"""Noise schedules: the coefficients of image and noise in x_t = alpha x_0 + sigma eps, for t = 0 ... T - 1."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.setting_types import SCHEDULES, Spacing
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class NoiseSchedule:
    """The coefficients of the forward process, in float64.

    A schedule need not keep alpha^2 + sigma^2 = 1, but its signal-to-noise ratio alpha^2 / sigma^2 has to fall with t.

    Attributes:
        alphas: of the image, shape (T,), positive. sqrt(alpha_bar_t) in Ho et al. 2020 (arXiv 2006.11239).
        sigmas: of the noise, shape (T,), positive. sqrt(1 - alpha_bar_t) there.
    """

    alphas: NDArray[np.float64]
    sigmas: NDArray[np.float64]

    @classmethod
    def from_betas(cls, betas: NDArray[np.float64]) -> Self:
        """alpha_bar_t = prod(1 - beta_s), s = 0 ... t (Ho et al. 2020, Eq. 4); betas in (0, 1), shape (T,)."""
        alphas_cumprod = np.cumprod(1.0 - betas, dtype=np.float64)
        return cls(np.sqrt(alphas_cumprod), np.sqrt(1.0 - alphas_cumprod))

    @classmethod
    def linear(cls, num_train_timesteps: int, beta_start: float, beta_end: float) -> Self:
        """Betas that rise evenly (Ho et al. 2020, Section 4)."""
        return cls.from_betas(np.linspace(beta_start, beta_end, num_train_timesteps, dtype=np.float64))

    @classmethod
    def cosine(cls, num_train_timesteps: int) -> Self:
        """alpha_bar falls as a squared cosine (Nichol & Dhariwal 2021, Eq. 17; arXiv 2102.09672)."""
        offset = 0.008
        t = np.arange(num_train_timesteps + 1, dtype=np.float64) / num_train_timesteps
        f = np.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
        return cls.from_betas(np.minimum(1.0 - f[1:] / f[:-1], 0.999))

    @classmethod
    def from_settings(cls, settings: TrainSettings) -> "NoiseSchedule":
        """The schedule that a model was, or will be, trained with."""
        return SCHEDULES[settings.beta_schedule](settings)

    @property
    def num_train_timesteps(self) -> int:
        """T: t runs from 0 to T - 1."""
        return len(self.alphas)

    def alpha(self, t: int) -> float:
        """Coefficient of the image in x_t; 1 for t = -1, the clean image."""
        return 1.0 if t < 0 else float(self.alphas[t])

    def sigma(self, t: int) -> float:
        """Coefficient of the noise in x_t; 0 for t = -1, the clean image."""
        return 0.0 if t < 0 else float(self.sigmas[t])

    def half_log_snr(self, t: int) -> float:
        """Half the log signal-to-noise ratio: lambda = log(alpha / sigma), for t in 0 ... T - 1."""
        return math.log(self.alpha(t)) - math.log(self.sigma(t))

    def transition(self, t: int, t_prev: int) -> tuple[float, float]:
        """Coefficients of x_(t_prev) and of fresh noise in x_t (Kingma et al. 2021, Appendix A.1; arXiv 2107.00630).

        For neighbouring timesteps of a schedule made of betas, these are sqrt(1 - beta_t) and sqrt(beta_t).
        """
        alpha = self.alpha(t) / self.alpha(t_prev)
        return alpha, math.sqrt(max(self.sigma(t) ** 2 - (alpha * self.sigma(t_prev)) ** 2, 0.0))

    def inference_timesteps(
        self, num_inference_steps: int, spacing: Spacing = "even", *, start: int | None = None
    ) -> list[tuple[int, int]]:
        """The pairs (t, t_prev) of a sampler's steps, from ``start`` down to the clean image (-1).

        Args:
            num_inference_steps: S, in 1 ... start + 1.
            spacing: "even" takes the last step from t = 0, where hardly any noise is left to remove. "trailing" makes
                the steps down to the clean image equally long (Lin et al. 2023, Table 2; arXiv 2305.08891).
            start: the first t, in 0 ... T - 1; by default T - 1, pure noise.

        Raises:
            ValueError: for values outside these ranges.
        """
        T, S = self.num_train_timesteps, num_inference_steps
        first = T - 1 if start is None else start
        if not 0 <= first < T:
            raise ValueError(f"start must be in 0...{T - 1}, not {first}")
        if not 1 <= S <= first + 1:
            raise ValueError(f"num_inference_steps must be in 1...{first + 1}, not {S}")
        even, trailing = np.linspace(first, 0, S), np.linspace(first + 1, 0, S, endpoint=False) - 1
        exact = {"even": even, "trailing": trailing}[spacing]
        # Half-up rounding of values at least 1 apart: no timestep twice, so S steps are S evaluations.
        t = np.floor(exact + 0.5).astype(int).tolist()
        return list(zip(t, [*t[1:], -1], strict=True))


ScheduleFactory = Callable[[TrainSettings], NoiseSchedule]

SCHEDULES.add("linear", lambda train: NoiseSchedule.linear(train.timesteps, train.beta_start, train.beta_end))
SCHEDULES.add("cosine", lambda train: NoiseSchedule.cosine(train.timesteps))
