"""A trained model as one HTML page that samples, reads and completes images in a browser, without a server.

The page holds the weights in half precision and the program that computes with them, ``assets/demo``. Its scripts are
modules whose names are unique, so that they are joined to one by leaving out ``import`` and ``export``. Texts of the
checkpoint are escaped, and a Content-Security-Policy allows this one script and no address at all.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import Checkpoint
from mnistdiff.engine.checkpoint.model_info import ModelInfo
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import WeightsName
from mnistdiff.settings import TrainSettings
from mnistdiff.shell import quoted

_SCRIPTS = ("noise", "kernel", "layers", "unet", "model", "samplers")
_NETWORK = "unet"
"""The network that the page computes."""

Arrays = Mapping[str, NDArray[np.float32]]
