"""The exponential moving average (EMA) of the weights, used for sampling (Ho et al. 2020, Appendix B)."""

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Averaged copies of a model's weights.

    The decay warms up as (1 + step) / (10 + step), so that in a short run the average does not keep the random initial
    weights.

    Args:
        model: the model to average; the averages start as copies of its weights.
        decay: after warm-up, in [0, 1); with 0 the averages are the weights themselves.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Update the averages after optimizer step number ``step`` (1, 2, ...)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), weights, 1 - decay)
