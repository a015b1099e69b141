"""``mnistdiff export``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, option_groups, options
from mnistdiff.cli.model_input import about, warn_of
from mnistdiff.cli.output import Output
from mnistdiff.cli.signals import leaving_at_once
from mnistdiff.engine.libraries import require

EXAMPLES = """
mnistdiff export -o model.onnx
mnistdiff export runs/001-base -o digits.onnx --json
"""


_Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE|-", help="The ONNX file to write; - is stdout.")]


def export_command(
    source: options.Source = None,
    output: _Output = Path("model.onnx"),
    weights: option_groups.Weights = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export a trained network to ONNX, and compare it with PyTorch.

    Inputs: x_t (B, 1, H, W), t (B,) and labels (B,), where the number of classes means "no label". Output: the
    prediction. After the export, sample needs no PyTorch for checkpoints of the same architecture.
    """
    target = Output.one_file(output, (".onnx",), what="a network", as_json=json)
    target.refuse_existing(force=force)
    quiet = quiet or json

    from mnistdiff.engine.checkpoint.file import read_checkpoint
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.runs.lookup import checkpoint_to_sample

    require("torch")
    path = checkpoint_to_sample(source)
    checkpoint = read_checkpoint(path)
    arrays = checkpoint.weights(weights or "ema")
    model = ModelInfo.of(path, checkpoint.metadata, checkpoint.sha256)
    warn_of(model)
    console.note(f"exporting {options.name_of(path)}, which takes half a minute", quiet=quiet)

    from mnistdiff.engine.network.export import export

    with leaving_at_once():  # torch.export calls Python from C++; no file is being written yet
        content, difference = export(checkpoint.metadata.settings, arrays, source=str(path))
    facts = {"bytes": len(content), "largest_difference": difference, **about(model)}
    target.finish(content, facts, as_json=json)
    console.note(f"{console.size(len(content))}; largest difference from PyTorch {difference:.1e}", quiet=quiet)
