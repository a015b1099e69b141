"""The noise schedule: how much of the image is left at step t (Ho et al. 2020, Section 2; arXiv 2006.11239)."""

import math
from dataclasses import dataclass
from typing import Self, assert_never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.settings import Spacing, TrainSettings


@dataclass(frozen=True)
class NoiseSchedule:
    """The variances of the forward process, in float64.

    Attributes:
        betas: variance added at step t, shape (T,), in (0, 1).
        alphas_cumprod: share of the signal's variance left at step t, shape (T,), falling.
    """

    betas: NDArray[np.float64]
    alphas_cumprod: NDArray[np.float64]

    @classmethod
    def from_betas(cls, betas: NDArray[np.float64]) -> Self:
        """alpha_bar_t = prod(1 - beta_s), s = 0 ... t (Ho et al. 2020, Eq. 4)."""
        return cls(betas=betas, alphas_cumprod=np.cumprod(1.0 - betas, dtype=np.float64))

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
    def from_settings(cls, settings: TrainSettings) -> Self:
        """The schedule a model was, or will be, trained with."""
        match settings.beta_schedule:
            case "linear":
                return cls.linear(settings.timesteps, settings.beta_start, settings.beta_end)
            case "cosine":
                return cls.cosine(settings.timesteps)
            case _:
                assert_never(settings.beta_schedule)

    @property
    def num_train_timesteps(self) -> int:
        """T: t runs from 0 to T - 1."""
        return len(self.betas)

    @property
    def terminal_signal(self) -> float:
        """Amplitude of the image left in x_T, in (0, 1). Sampling starts as if it were 0."""
        return math.sqrt(self.alphas_cumprod[-1])

    def alpha_bar(self, t: int) -> float:
        """alpha_bar_t, and 1 for t = -1: the clean image."""
        return 1.0 if t < 0 else float(self.alphas_cumprod[t])

    def inference_timesteps(
        self, num_inference_steps: int, spacing: Spacing = "even", *, start: int | None = None
    ) -> list[tuple[int, int]]:
        """The pairs (t, t_prev) that a sampler walks, from ``start`` down, then to the image (-1).

        Args:
            num_inference_steps: S, in 1 ... start + 1.
            spacing: "even" ends at t = 0, a step away from the image that no noise is left to fill. "trailing" counts
                the steps to the image itself as evenly long (Lin et al. 2023, Table 2; arXiv 2305.08891).
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
        match spacing:
            case "even":
                exact = np.linspace(first, 0, S)
            case "trailing":
                exact = np.linspace(first + 1, 0, S, endpoint=False) - 1
            case _:
                assert_never(spacing)
        # Half-up rounding of values at least 1 apart: no timestep twice, so S steps are S evaluations.
        t = np.floor(exact + 0.5).astype(int).tolist()
        return list(zip(t, [*t[1:], -1], strict=True))
