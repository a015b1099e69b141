"""Training in several processes: the first of them has the others measure and train along."""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.network.device import resolve_device
from mnistdiff.engine.training.execution import reproducible
from mnistdiff.engine.training.group import Group, joined
from mnistdiff.engine.training.loop import ObjectiveFactory, Stop, never, train_steps
from mnistdiff.engine.training.objective import Objective
from mnistdiff.engine.training.objectives import objective_of
from mnistdiff.engine.training.state import TrainState
from mnistdiff.engine.training.time_budget import steps_within
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings


class Order(BaseModel):
    """What all processes of a group do next: measure how many steps fit into ``minutes``, or train.

    Attributes:
        settings: of the run.
        step: optimizer steps done.
        minutes: to plan for; None trains.
    """

    model_config = ConfigDict(frozen=True)

    settings: TrainSettings
    step: int = 0
    minutes: float | None = None


def give(order: Order, group: Group, state: TrainState | None = None) -> None:
    """Tell the other processes what to do; to train, they get the state."""
    if group.size > 1:
        group.share(order.model_dump_json())
        if state is not None:
            group.share_vector(_vector(state))


def follow(machine: MachineSettings, *, make_objective: ObjectiveFactory = objective_of, stop: Stop = never) -> None:
    """Train along with the first process of the group, which alone reads and writes the run and reports.

    Args:
        machine: where to compute, and where the images are.
        make_objective: as in ``pipeline.train``.
        stop: as in ``pipeline.train``; True stops the whole group.

    Raises:
        ProcessError: if another process of the group ends early.
        DataError: if the images are unavailable.
        DivergedError, OutOfMemoryError: as in ``train_steps``.
    """
    device = resolve_device(machine.device)
    with joined(device, machine.processes, stop) as group:
        while True:
            order = Order.model_validate_json(group.share(""))
            settings = order.settings
            data = load_training_images(settings, data_dir=machine.data_dir)
            objective = make_objective(settings, device)
            with reproducible(settings, device):
                if order.minutes is not None:
                    steps_within(order.minutes, data.images, data.labels, settings, objective, device, group)
                    continue
                state, total = _received(order, objective, group, device), settings.total_steps(len(data.images))
                steps = train_steps(
                    state, data.images, data.labels, settings, objective, total_steps=total, group=group, stop=stop
                )
                for _ in steps:
                    pass
                return


def _vector(state: TrainState) -> torch.Tensor:
    """All numbers of a state, in the order of the names of its tensors."""
    return torch.from_numpy(np.concatenate([array.ravel() for _, array in sorted(state.to_tensors().items())]))


def _received(order: Order, objective: Objective, group: Group, device: torch.device) -> TrainState:
    """The state that the first process has."""
    state = TrainState.initial(order.settings, device, objective)
    vector = _vector(state)
    group.share_vector(vector)
    tensors, start = {}, 0
    for name, array in sorted(state.to_tensors().items()):
        tensors[name] = vector[start : start + array.size].numpy().reshape(array.shape)
        start += array.size
    return TrainState.from_tensors(
        tensors, order.settings, device, objective, step=order.step, source="the first process"
    )
