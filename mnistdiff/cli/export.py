"""``mnistdiff export``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.errors import SettingsError
from mnistdiff.settings import SampleSettings

EXAMPLES = """Examples:

mnistdiff export -o model.onnx

mnistdiff export runs/001-base -o digits.onnx --json"""


def export_command(
    context: typer.Context,
    source: options.Source = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file to write.")] = Path(
        "model.onnx"
    ),
    weights: options.Weights = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a trained network as an ONNX file, and compare it with PyTorch.

    Inputs: x_t (B, 1, 28, 28), t (B,), labels (B,; 10 is no label). Output: the predicted noise or v. From then on
    sample draws from any checkpoint of this architecture without loading PyTorch.
    """
    if output.exists() and not force:
        raise SettingsError(f"{output} is already there", "Use --force to replace it, or another -o.")
    quiet = quiet or json

    from mnistdiff.engine.choice import checkpoint_to_sample
    from mnistdiff.engine.sampling import load_weights
    from mnistdiff.engine.storage import write_atomically

    path = checkpoint_to_sample(source)
    given = SampleSettings(**options.given(SampleSettings, context.params))
    checkpoint, arrays = load_weights(path, given.weights)
    console.note(f"exporting {options.name_of(path)}, which takes half a minute", quiet=quiet)

    from mnistdiff.engine.network.export import export

    content, difference = export(checkpoint.metadata.settings, arrays, source=str(path))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, content, durable=False)
    if json:
        console.result_json({"path": str(output), "bytes": len(content), "largest_difference": difference})
        return
    console.result(str(output))
    console.note(f"{console.size(len(content))}; largest difference from PyTorch {difference:.1e}", quiet=quiet)
