"""Groups of processes as threads of this process: what they exchange goes through queues instead of a network.

``Group`` itself is the real one: only the module ``torch.distributed`` below it is replaced.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from queue import Queue
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor
from torch.distributed import ReduceOp

from mnistdiff.engine.training import group as group_module
from mnistdiff.engine.training.group import Group

T = TypeVar("T")
PATIENCE_SECONDS = 60


class _End:
    """One thread's end of all wires."""

    def __init__(self, rank: int, size: int, wires: "dict[tuple[int, int], Queue[Tensor]]") -> None:
        self.rank, self.size, self._wires = rank, size, wires

    def send(self, tensor: Tensor, to: int) -> None:
        self._wires[self.rank, to].put(tensor.clone())

    def receive(self, tensor: Tensor, sender: int) -> None:
        tensor.copy_(self._wires[sender, self.rank].get(timeout=PATIENCE_SECONDS))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        for rank in range(self.size):
            self.send(tensor, rank)
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        for rank, theirs in enumerate(gathered):
            self.receive(theirs, rank)
        return gathered


def _all_reduce(tensor: Tensor, op: Any, group: _End) -> None:
    assert op == ReduceOp.MAX
    tensor.copy_(torch.stack(group.gather(tensor)).amax(dim=0))


def _broadcast(tensor: Tensor, src: int, group: _End) -> None:
    if group.rank == src:
        for rank in set(range(group.size)) - {src}:
            group.send(tensor, rank)
    else:
        group.receive(tensor, src)


def _all_gather(into: list[Tensor], tensor: Tensor, group: _End) -> None:
    for mine, theirs in zip(into, group.gather(tensor), strict=True):
        mine.copy_(theirs)


def _exchange(pair: list[tuple[Callable[[_End, Tensor, int], None], Tensor, int, _End]]) -> list[Any]:
    """A send happens at once, a receipt when somebody waits for it."""
    requests = []
    for act, tensor, peer, end in sorted(pair, key=lambda operation: operation[0] is _End.receive):
        if act is _End.send:
            end.send(tensor, peer)
        else:
            requests.append(SimpleNamespace(wait=partial(end.receive, tensor, peer)))
    return requests


def in_group(size: int, work: Callable[[Group], T], monkeypatch: pytest.MonkeyPatch) -> list[T]:
    """What ``work`` returns in each process of a group, in the order of their ranks."""
    wires: dict[tuple[int, int], Queue[Tensor]] = {pair: Queue() for pair in product(range(size), repeat=2)}
    replaced = SimpleNamespace(
        ReduceOp=ReduceOp,
        isend=_End.send,
        irecv=_End.receive,
        P2POp=lambda *operation: operation,
        batch_isend_irecv=_exchange,
        all_reduce=_all_reduce,
        broadcast=_broadcast,
        all_gather=_all_gather,
    )
    monkeypatch.setattr(group_module, "dist", replaced)
    groups = [Group(rank, size, _End(rank, size, wires)) for rank in range(size)]  # type: ignore[arg-type]
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(work, groups))
