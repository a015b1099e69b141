"""The presets: sets of defaults for training."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

EXECUTION = MappingProxyType({"shards": "auto", "precision": "auto", "compile": "auto"})
"""How every preset computes: chosen for the machine at the start of a run, which keeps the choice."""

_FAST: Mapping[str, Any] = MappingProxyType(
    {
        **EXECUTION,
        # In steps, since the learning rate depends on them: 15 minutes at 180 images/s.
        "epochs": 1000,
        "max_steps": 2500,
        "batch_size": 64,
        "optimizer": "muon",
        "lr": 2e-3,
        "muon_lr": 0.02,
        "lr_schedule": "linear",
        "warmup_steps": 100,
        # In effect warm-up alone: the average covers a tenth of the training, however long it is.
        "ema_decay": 0.9999,
        "beta_schedule": "cosine",
        "mode_scale": 0.8,
        "timestep_shift": 2.0,
        "prediction": "v_prediction",
        "patch_size": 1,
        "channels": (16, 48, 96),
        "down_blocks": (0, 1, 2),
        "up_blocks": (1, 2, 2),
    }
)
"""The most quality for the minutes of a laptop, found by measurement: docs/evaluation.md."""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "base": EXECUTION,
        "fast": _FAST,
        # The same for hours: as many steps as the bundled teacher was trained for.
        "best": MappingProxyType({**_FAST, "max_steps": 20_000}),
        # For first steps and tests: readable digits within minutes, not a good model.
        "tiny": MappingProxyType(
            {
                **EXECUTION,
                # In steps, so that the small offline data set is trained on as long as all of MNIST.
                "epochs": 1000,
                "max_steps": 1500,
                "lr": 3e-3,
                "ema_decay": 0.995,
                "beta_schedule": "cosine",
                "prediction": "v_prediction",
                "channels": (8, 24),
                "embedding": 32,
            }
        ),
        # From a trained model to a handwriting of which 50 digits are given (docs/own-images.md).
        "finetune": MappingProxyType(
            {
                **EXECUTION,
                "epochs": 1000,
                "max_steps": 300,
                "batch_size": 64,
                "optimizer": "muon",
                "lr": 2e-4,
                "muon_lr": 2e-3,
                "lr_schedule": "linear",
                "warmup_steps": 20,
                "ema_decay": 0.99,
                "mode_scale": 0.8,
                "timestep_shift": 2.0,
                "repeats": 100,
                "log_every": 25,
                "checkpoint_every": 0,
            }
        ),
    }
)
