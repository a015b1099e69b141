"""The processes that train one model together, over torch.distributed: how they find each other, what they exchange.

Every process holds the whole state and computes the gradients of its own shards of each batch. Sums are combined in a
binary tree whose order does not depend on the number of processes, so that the result has the same bits for any number.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from mnistdiff.engine.network.device import require_gpus
from mnistdiff.engine.training.launch import place_in_group
from mnistdiff.errors import DivergedError, ProcessError, SettingsError

_JOIN_TIMEOUT = timedelta(seconds=60)
_EXCHANGE_TIMEOUT = timedelta(hours=1)
"""The first process writes previews and checkpoints while the others wait."""


class Group:
    """The processes of a training; by default one alone.

    Args:
        rank: number of this process, from 0.
        size: number of processes, a power of two.
        exchange: their process group; None for one alone.
    """

    def __init__(self, rank: int = 0, size: int = 1, exchange: "dist.ProcessGroup | None" = None) -> None:
        self.rank, self.size, self._exchange = rank, size, exchange

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reads and writes the run, and reports."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        value = torch.tensor([flag], dtype=torch.int32)
        with _peers():
            dist.all_reduce(value, op=dist.ReduceOp.MAX, group=self._exchange)
        return bool(value.item())

    def sum(self, vector: Tensor) -> None:
        """Replace the vector by its sum over all processes, combined in a binary tree (recursive doubling).

        In each round, processes whose numbers differ in one bit exchange their sums. Addition is commutative in every
        bit, so both get the same.
        """
        theirs = torch.empty_like(vector) if self.size > 1 else vector
        distance = 1
        while distance < self.size:
            partner = self.rank ^ distance
            pair = [
                dist.P2POp(dist.isend, vector, partner, self._exchange),
                dist.P2POp(dist.irecv, theirs, partner, self._exchange),
            ]
            with _peers():
                for request in dist.batch_isend_irecv(pair):
                    request.wait()
            vector.add_(theirs)
            distance *= 2

    def share(self, text: str) -> str:
        """The text of the first process, in every process."""
        if self.size == 1:
            return text
        content = torch.frombuffer(bytearray(text.encode() or b"\0"), dtype=torch.uint8)
        length = torch.tensor([len(content)])
        with _peers():
            dist.broadcast(length, src=0, group=self._exchange)
            if not self.is_first:
                content = torch.empty(int(length.item()), dtype=torch.uint8)
            dist.broadcast(content, src=0, group=self._exchange)
        return bytes(content.numpy()).decode().strip("\0")

    def share_vector(self, vector: Tensor) -> None:
        """Replace the vector by that of the first process."""
        if self.size > 1:
            with _peers():
                dist.broadcast(vector, src=0, group=self._exchange)

    def require_equal(self, digests_of: Callable[[], Mapping[str, int]]) -> None:
        """Compare the digests of tensors with those of the first process.

        Args:
            digests_of: returns them, signed 64-bit numbers by name; not called for one process.

        Raises:
            DivergedError: naming the first tensor that differs and the process that has it.
        """
        if self.size == 1:
            return
        digests = digests_of()
        own = torch.tensor([*digests.values()], dtype=torch.int64)
        all_digests = [torch.empty_like(own) for _ in range(self.size)]
        with _peers():
            dist.all_gather(all_digests, own, group=self._exchange)
        for rank, theirs in enumerate(all_digests):
            for name, ours, other in zip(digests, all_digests[0].tolist(), theirs.tolist(), strict=True):
                if ours != other:
                    raise DivergedError(
                        f"tensor {name} of process {rank} differs from that of process 0: their processors or "
                        "libraries compute other bits",
                        "The last saved checkpoint is valid. Train on machines of one kind with the same PyTorch.",
                    )


ALONE = Group()


@contextmanager
def joined(device: torch.device, processes: int | Literal["auto"], stop: Callable[[], bool]) -> Iterator[Group]:
    """Join the processes that a launcher started, as the environment names them; without one, a process alone.

    Args:
        device: where this process computes.
        processes: how many were asked for.
        stop: whether to give up waiting for the others.

    Raises:
        SettingsError: if a launcher started another number of processes, or more than this machine has GPUs.
        ProcessError: if another process does not come within a minute, or ends, or this one was stopped.
    """
    place = place_in_group()
    if processes not in ("auto", place.size):
        raise SettingsError(
            f"`processes` {processes}: {place.size} of them run this program",
            f"Start it with torchrun --nproc-per-node {processes}.",
        )
    if place.size == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":  # before anything is put there
        require_gpus(max(place.local_size, place.local_rank + 1))
        torch.cuda.set_device(place.local_rank)
    try:
        exchange = _join(backend, stop, start=place.restarts if place.local_size == place.size else 0)
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"process {place.rank} of {place.size} did not reach the others within a minute: {_first_sentence(error)}",
            "Start all of them at the same time; MASTER_ADDR and MASTER_PORT must lead to the first.",
        ) from error
    try:
        yield Group(place.rank, place.size, exchange)
    finally:
        dist.destroy_process_group()


def _join(backend: str, stop: Callable[[], bool], *, start: int) -> dist.ProcessGroup:
    """Wait for all processes, in a thread: C++ code that waits does not let this process handle signals."""
    group: Future[dist.ProcessGroup] = Future()

    def join() -> None:
        try:
            store, rank, size = next(dist.rendezvous("env://", timeout=_JOIN_TIMEOUT))  # type: ignore[attr-defined]
            # torchrun keeps its store through restarts: addresses that ended processes left there must not be read.
            store = dist.PrefixStore(f"start {start}", store)  # type: ignore[attr-defined]
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_JOIN_TIMEOUT)
            exchange = dist.new_group(backend=backend, timeout=_EXCHANGE_TIMEOUT)
            assert isinstance(exchange, dist.ProcessGroup)  # not one that leaves this process out
            group.set_result(exchange)
        except Exception as error:
            group.set_exception(error)

    Thread(target=join, daemon=True).start()
    while not wait([group], timeout=0.1).done:
        if stop():
            raise ProcessError("stopped while waiting for the other processes")
    return group.result()


@contextmanager
def _peers() -> Iterator[None]:
    """Turn an error of the exchange into a ProcessError."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            f"another process of this training ended: {_first_sentence(error)}",
            "The last saved checkpoint is valid: resume from it.",
        ) from error


def _first_sentence(error: Exception) -> str:
    """The first sentence of an error, without the place in the source of a library before it."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"^\[[^]]*:\d+\] ", "", line).partition(". ")[0][:120]
