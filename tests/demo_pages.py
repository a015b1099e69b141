"""Pages of ``export --html`` for tests: of checkpoints, and of networks with random weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoints import metadata_at

from mnistdiff.engine.checkpoint.file import Checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.metadata import Fingerprint
from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.outputs.demo_page import demo_page
from mnistdiff.settings import TrainSettings

SCRIPTS = Path(__file__).parents[1] / "mnistdiff" / "assets" / "demo"
_PARTS = re.compile(r'<script [^>]*\bid="(\w+)">(.*?)</script>', re.DOTALL)


def parts_of(page: bytes) -> dict[str, str]:
    """The contents of a page's script elements, by id."""
    return dict(_PARTS.findall(page.decode()))


def page_of(path: Path) -> bytes:
    """The page of a checkpoint."""
    return demo_page(read_checkpoint(path))


def random_network(settings: TrainSettings) -> tuple[Checkpoint, torch.nn.Module]:
    """A checkpoint of random weights, as they are in half precision, and its network."""
    generator = np.random.default_rng(0)
    network = build_network(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            scale = 1.5 / np.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 0.3
            values = generator.standard_normal(tuple(parameter.shape)) * scale + (parameter.ndim == 1) * 0.5
            parameter.copy_(torch.from_numpy(values.astype(np.float16).astype(np.float32)))
    tensors: dict[str, Any] = {f"ema.{name}": value.detach().numpy() for name, value in network.named_parameters()}
    metadata = metadata_at(
        1,
        settings,
        5000,
        kind="weights",
        recent_losses=(),
        epoch_loss_sum=0.0,
        fingerprint=Fingerprint(mnistdiff="", torch="", threads="", device="", layout=""),
    )
    return Checkpoint(Path("random"), metadata, tensors, "0" * 64), network
