"""What moves the weights: AdamW, Muon for the matrices inside the network, and the learning rate through a run."""

import math
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import assert_never

import torch
from torch import Tensor

from mnistdiff.engine.network.unet import ConditionalUNet
from mnistdiff.settings import TrainSettings


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are orthogonalised (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A weight of shape (out, in, height, width) is taken as the matrix (out, in height width). torch.optim.Muon takes
    matrices only and computes in bfloat16, which a CPU emulates: this one, in float32, is three times faster there.

    Args:
        parameters: of two or more dimensions.
        lr: length of a step, as the spectral norm of a square matrix's change.
        momentum: share of the past in the running mean of gradients, in [0, 1).
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        assert closure is None, "the loss is not evaluated again"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1 - group["momentum"])
                # Nesterov: look ahead by one more step of the running mean.
                ahead = weight.grad.lerp(mean, group["momentum"])
                direction = orthogonalised(ahead.flatten(1))
                rows, columns = direction.shape
                weight.sub_(direction.view_as(weight), alpha=group["lr"] * math.sqrt(max(1, rows / columns)))


MOMENTS: MappingProxyType[type[torch.optim.Optimizer], tuple[str, ...]] = MappingProxyType(
    {torch.optim.AdamW: ("exp_avg", "exp_avg_sq"), Muon: ("momentum",)}
)
"""What an optimizer remembers of each weight, beside the number of steps."""


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1 (between about 0.7 and 1.2).

    Five steps of a quintic Newton-Schulz iteration, whose coefficients lift small singular values fast rather than
    reach 1 exactly (Jordan et al. 2024).

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


def build_optimizers(model: ConditionalUNet, settings: TrainSettings) -> tuple[torch.optim.Optimizer, ...]:
    """The optimizers of a run; together they hold every weight once.

    Muon moves the kernels inside the network. AdamW moves the rest, since it has no shape to respect there: biases,
    scales, embeddings, and the first and the last layer, one side of which is a pixel.
    """
    match settings.optimizer:
        case "adamw":
            kernels = []
        case "muon":
            kernels = model.inner_kernels()
        case _:
            assert_never(settings.optimizer)
    held = {id(kernel) for kernel in kernels}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in held]
    adamw = torch.optim.AdamW(rest, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    return (adamw, Muon(kernels, lr=settings.muon_lr)) if kernels else (adamw,)


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Make the next step as long as ``factor`` of the learning rates that the settings name."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * factor


def learning_rate_factor(step: int, total_steps: int, settings: TrainSettings) -> float:
    """What the learning rates are multiplied by, in (0, 1].

    Args:
        step: optimizer steps done before, in 0 ... total_steps - 1.
        total_steps: of the whole run, as planned at its start.
        settings: ``warmup_steps`` of linear rise; then constant, or down to 0 along a line or a half cosine.
    """
    warmup = min(1.0, (step + 1) / (settings.warmup_steps + 1))
    done = step / total_steps
    match settings.lr_schedule:
        case "constant":
            return warmup
        case "linear":
            return warmup * (1 - done)
        case "cosine":
            return warmup * (1 + math.cos(math.pi * done)) / 2
        case _:
            assert_never(settings.lr_schedule)
