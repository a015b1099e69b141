"""The moving average of the weights: what samples are drawn from (Ho et al. 2020, Appendix B)."""

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Averaged copies of a model's weights.

    The decay warms up as (1 + step) / (10 + step), so that the average follows the weights closely at first and a
    short run is not drawn from its random start.

    Args:
        model: whose weights are followed; the average starts as a copy of them.
        decay: after warm-up, in [0, 1); 0 makes the average the weights themselves.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Move the average towards the weights after optimizer step number ``step`` (1, 2, ...)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), weights, 1 - decay)
