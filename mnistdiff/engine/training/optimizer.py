"""Optimizers (AdamW and Muon) and the learning rate schedule."""

import math
from collections.abc import Callable, Iterable
from types import MappingProxyType

import torch
from torch import Tensor

from mnistdiff.engine.network.build import Network
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A weight of shape (out, in, height, width) is treated as the matrix (out, in height width). torch.optim.Muon takes
    matrices only and computes in bfloat16, which a CPU emulates: this one, in float32, is three times faster there.

    Args:
        parameters: of two or more dimensions.
        lr: learning rate: the spectral norm of the update of a square matrix.
        momentum: decay of the running mean of gradients, in [0, 1).
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        assert closure is None, "the loss is not evaluated again"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1 - group["momentum"])
                # Nesterov momentum: the running mean after one more step.
                ahead = weight.grad.lerp(mean, group["momentum"])
                direction = orthogonalised(ahead.flatten(1))
                rows, columns = direction.shape
                weight.sub_(direction.view_as(weight), alpha=group["lr"] * math.sqrt(max(1, rows / columns)))


MOMENTS: MappingProxyType[type[torch.optim.Optimizer], tuple[str, ...]] = MappingProxyType(
    {torch.optim.AdamW: ("exp_avg", "exp_avg_sq"), Muon: ("momentum",)}
)
"""The state of each optimizer for each weight, besides the number of steps."""


def orthogonalised(matrix: Tensor) -> Tensor:
    """Orthogonalise a matrix: the same singular vectors, with singular values between about 0.7 and 1.2.

    Five steps of a quintic Newton-Schulz iteration, whose coefficients increase small singular values fast rather than
    converge to 1 exactly (Jordan et al. 2024).

    Args:
        matrix: shape (M, N).

    Returns:
        shape (M, N); zeros for zeros.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def build_optimizers(model: Network, settings: TrainSettings) -> tuple[torch.optim.Optimizer, ...]:
    """Build the optimizers of a run; every parameter belongs to exactly one.

    With Muon, the network chooses its parameters; AdamW optimizes the others.

    Raises:
        SettingsError: if Muon is chosen and the network has no parameters for it.
    """
    kernels = {"adamw": [], "muon": model.muon_parameters()}[settings.optimizer]
    if settings.optimizer == "muon" and not kernels:
        raise SettingsError(f"`optimizer` muon: the network {settings.network} has no parameters for it")
    of_muon = {id(kernel) for kernel in kernels}
    others = [parameter for parameter in model.parameters() if id(parameter) not in of_muon]
    adamw = torch.optim.AdamW(others, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    return (adamw, Muon(kernels, lr=settings.muon_lr)) if kernels else (adamw,)


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Multiply the initial learning rates by ``factor`` for the next step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * factor


def learning_rate_factor(step: int, total_steps: int, settings: TrainSettings) -> float:
    """The factor of the learning rates at a step, in (0, 1].

    Args:
        step: optimizer steps done before, in 0 ... total_steps - 1.
        total_steps: of the whole run, as planned at its start.
        settings: a linear warm-up of ``warmup_steps``, then constant, or a linear or cosine decay to 0.
    """
    warmup = min(1.0, (step + 1) / (settings.warmup_steps + 1))
    done = step / total_steps
    decay = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
    return warmup * decay[settings.lr_schedule]
