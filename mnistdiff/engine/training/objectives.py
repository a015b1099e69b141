"""The objective that the settings of a run choose."""

import torch

from mnistdiff.engine.training.distillation import DistillationLoss
from mnistdiff.engine.training.objective import DiffusionLoss, Objective
from mnistdiff.settings import TrainSettings


def objective_of(settings: TrainSettings, device: torch.device) -> Objective:
    """The distillation loss for a run with a teacher, whose weights are to be set; else the diffusion loss."""
    return (DiffusionLoss if settings.distillation is None else DistillationLoss)(settings, device)
