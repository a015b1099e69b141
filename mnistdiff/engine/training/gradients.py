"""The gradient of a batch as the sum over its shards: the same bits for any number of processes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mnistdiff.engine.training.group import Group


def shards_of(batch_size: int, shards: int) -> list[slice]:
    """Cut a batch into contiguous shards whose sizes differ by at most 1; those of a small batch may be empty."""
    ends = [batch_size * number // shards for number in range(shards + 1)]
    return [slice(start, stop) for start, stop in zip(ends, ends[1:], strict=False)]


def batch_gradient(
    model: nn.Module, loss_of: Callable[[slice], Tensor], *, batch_size: int, shards: int, group: Group
) -> Tensor:
    """Set the gradients of a model to those of the mean loss of a batch.

    The sum of each shard is computed alone, so that it has the same bits in whichever process. Sums of neighbours are
    added in a binary tree: first those of one process, which are contiguous, then those of the processes.

    Args:
        model: whose parameters the loss depends on.
        loss_of: the mean loss of the images of a shard, a scalar with a gradient.
        batch_size: images in the batch.
        shards: parts of the batch, a power of two.
        group: the processes, of which each has equally many shards.

    Returns:
        the loss of the batch, a scalar.
    """
    model.zero_grad(set_to_none=True)
    if shards == 1:
        loss = loss_of(slice(0, batch_size))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    share = shards // group.size
    sums: list[Tensor] = []
    for shard in shards_of(batch_size, shards)[group.rank * share : (group.rank + 1) * share]:
        model.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=parameters[0].device)
        if shard.stop > shard.start:
            loss = loss_of(shard) * ((shard.stop - shard.start) / batch_size)
            loss.backward()
        sums.append(torch.cat([loss.detach().reshape(1), *_gradients(parameters)]))
    while len(sums) > 1:
        sums = [left.add_(right) for left, right in zip(sums[::2], sums[1::2], strict=True)]
    [total] = sums
    group.sum(total)
    sizes = [1, *(parameter.numel() for parameter in parameters)]
    loss, *gradients = torch.split(total, sizes)
    torch._foreach_copy_(_gradients(parameters), gradients)
    return loss.squeeze(0)


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The gradient of each parameter, zeros where there is none, in the order of memory, shape (N,).

    Kernels are channels-last; to copy them in the order of their shape would take several times as long. A gradient
    has the layout of its parameter, which is the same in every process.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [p.grad.as_strided((p.numel(),), (1,)) for p in parameters if p.grad is not None]
