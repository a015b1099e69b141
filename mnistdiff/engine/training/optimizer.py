"""Optimizers (AdamW and Muon) and the learning rate schedule."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from mnistdiff.engine.network.build import Network
from mnistdiff.engine.training.group import ALONE, Group
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings


class Optimizer(ABC):
    """Parameters, their learning rate, and running means of their gradients.

    PyTorch's own base class imports ``torch._dynamo``, the compiler, which takes more than a second.

    Args:
        parameters: to optimize.
        lr: initial learning rate.
        moments: names of the running means.

    Attributes:
        parameters: that are optimized.
        initial_lr: the learning rate to multiply.
        lr: the learning rate of the next step.
        moments: for each parameter its running means by name, zeros at first, in the parameter's memory layout.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, moments: Sequence[str]) -> None:
        self.parameters = list(parameters)
        self.initial_lr = self.lr = lr
        self.moments = [{name: torch.zeros_like(parameter) for name in moments} for parameter in self.parameters]

    @abstractmethod
    def step(self, group: Group = ALONE) -> None:
        """Update every parameter that has a gradient, in all processes of a group to the same bits."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101), by PyTorch's fused kernel.

    Args:
        parameters: to optimize.
        lr: initial learning rate.
        weight_decay: factor of the decay; the learning rate multiplies it, too.

    Attributes:
        steps: done, for each parameter, as the kernel takes and increases them.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr=lr, moments=("exp_avg", "exp_avg_sq"))
        self.weight_decay = weight_decay
        self.steps = [parameter.new_zeros(()) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, group: Group = ALONE) -> None:
        """Update every parameter that has a gradient; each process updates all."""
        held = [
            (parameter, parameter.grad, moments["exp_avg"], moments["exp_avg_sq"], steps)
            for parameter, moments, steps in zip(self.parameters, self.moments, self.steps, strict=True)
            if parameter.grad is not None
        ]
        parameters, gradients, means, squares, steps = map(list, zip(*held, strict=True))
        adamw(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


class Muon(Optimizer):
    """Momentum with orthogonalised updates (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A weight of shape (out, in, height, width) is treated as the matrix (out, in height width). torch.optim.Muon takes
    matrices only and computes in bfloat16, which a CPU emulates: this one, in float32, is three times faster there.

    Args:
        parameters: of two or more dimensions.
        lr: learning rate: the spectral norm of the update of a square matrix.
        momentum: decay of the running mean of gradients, in [0, 1).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, lr=lr, moments=("momentum",))
        self.momentum = momentum

    @torch.no_grad()
    def step(self, group: Group = ALONE) -> None:
        """Update every parameter that has a gradient; the processes share the work of orthogonalising the updates."""
        weights: list[nn.Parameter] = []
        updates: list[Tensor] = []
        for weight, moments in zip(self.parameters, self.moments, strict=True):
            if weight.grad is not None:
                mean = moments["momentum"].lerp_(weight.grad, 1 - self.momentum)
                # Nesterov momentum: the running mean after one more step.
                updates.append(weight.grad.lerp(mean, self.momentum).flatten(1))
                weights.append(weight)
        for weight, direction in zip(weights, _all_orthogonalised(updates, group), strict=True):
            rows, columns = direction.shape
            weight.sub_(direction.view_as(weight), alpha=self.lr * math.sqrt(max(1, rows / columns)))


def _all_orthogonalised(matrices: Sequence[Tensor], group: Group) -> list[Tensor]:
    """Orthogonalise matrices, each in one process of a group, which sends its results to the others."""
    if group.size == 1:
        return [orthogonalised(matrix) for matrix in matrices]
    owners = _balanced([matrix.numel() * min(matrix.shape) for matrix in matrices], group.size)
    own = [
        (orthogonalised(matrix) if owner == group.rank else torch.zeros_like(matrix)).flatten()
        for matrix, owner in zip(matrices, owners, strict=True)
    ]
    results = torch.cat(own)
    group.sum(results)  # all but one of the summands are zero
    parts = torch.split(results, [matrix.numel() for matrix in matrices])
    return [part.view(matrix.shape) for part, matrix in zip(parts, matrices, strict=True)]


def _balanced(costs: Sequence[int], processes: int) -> list[int]:
    """A process for each piece of work: the largest first, each to the process that has the least so far."""
    loads, owners = [0] * processes, [0] * len(costs)
    for number in sorted(range(len(costs)), key=lambda number: -costs[number]):
        owners[number] = loads.index(min(loads))
        loads[owners[number]] += costs[number]
    return owners


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


def build_optimizers(model: Network, settings: TrainSettings) -> tuple[Optimizer, ...]:
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
    of_others = AdamW(others, lr=settings.lr, weight_decay=settings.weight_decay)
    return (of_others, Muon(kernels, lr=settings.muon_lr)) if kernels else (of_others,)


def set_learning_rate(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Multiply the initial learning rates by ``factor`` for the next step."""
    for optimizer in optimizers:
        optimizer.lr = optimizer.initial_lr * factor


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
