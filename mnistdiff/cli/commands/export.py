"""``mnistdiff export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, option_groups, options
from mnistdiff.cli.model_input import about, warn_of
from mnistdiff.cli.output import Output
from mnistdiff.cli.signals import leaving_at_once
from mnistdiff.conflicts import without_effect
from mnistdiff.engine.libraries import require

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.file import Checkpoint
    from mnistdiff.setting_types import WeightsName

EXAMPLES = """
mnistdiff export -o model.onnx
mnistdiff export runs/001-base -o digits.onnx --json
mnistdiff export bundled --html demo.html
"""

_Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE|-", help="The ONNX file to write; - is stdout; default: model.onnx."),
]
_Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE|-", help="Write a page that samples in a browser, without a server, instead of ONNX."),
]


def export_command(
    source: options.Source = None,
    output: _Output = None,
    html: _Html = None,
    weights: option_groups.Weights = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export a trained network to ONNX, or to a page that samples in a browser.

    ONNX: compared with PyTorch. Inputs: x_t (B, 1, H, W), t (B,) and labels (B,), where the number of classes means
    "no label". Output: the prediction. After it, sample needs no PyTorch for checkpoints of the same architecture.

    The page (--html) is one file that needs no server and no network: it samples the same images as sample, reads
    drawings and completes them. Of the bundled models it holds the one of few steps.
    """
    if html is None:
        target = Output.one_file(output or Path("model.onnx"), (".onnx",), what="a network", as_json=json)
    elif output is None:
        target = Output.one_file(html, (".html", ".htm"), what="a page", as_json=json)
    else:
        raise without_effect("--output", "--html", "a page is written instead of ONNX")
    target.refuse_existing(force=force, hint="Use --force to replace it, or another name.")
    quiet = quiet or json

    from mnistdiff.engine.checkpoint.file import read_checkpoint
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.runs.lookup import checkpoints_to_sample

    if html is None:
        require("torch")
    found = checkpoints_to_sample(source)
    path = found[-1] if html is None else found[0]
    checkpoint = read_checkpoint(path)
    model = ModelInfo.of(path, checkpoint.metadata, checkpoint.sha256)
    warn_of(model)
    facts, compared = about(model), ""
    if html is None:
        content, difference = _onnx(checkpoint, weights or "ema", quiet=quiet)
        facts, compared = (
            {"largest_difference": difference, **facts},
            f"; largest difference from PyTorch {difference:.1e}",
        )
    else:
        content = _page(checkpoint, weights or "ema", quiet=quiet)
    target.finish(content, {"bytes": len(content), **facts}, as_json=json)
    console.note(f"{console.size(len(content))}{compared}", quiet=quiet)


def _onnx(checkpoint: "Checkpoint", weights: "WeightsName", *, quiet: bool) -> tuple[bytes, float]:
    """The network in ONNX, and the largest difference of its predictions from those of PyTorch."""
    name = options.name_of(checkpoint.path)
    arrays = checkpoint.weights(weights)
    console.note(f"exporting {name}, which takes half a minute", quiet=quiet)

    from mnistdiff.engine.network.export import export

    with leaving_at_once():  # torch.export calls Python from C++; no file is being written yet
        return export(checkpoint.metadata.settings, arrays, source=str(checkpoint.path))


def _page(checkpoint: "Checkpoint", weights: "WeightsName", *, quiet: bool) -> bytes:
    from mnistdiff.engine.outputs.demo_page import demo_page

    console.note(f"exporting {options.name_of(checkpoint.path)}", quiet=quiet)
    return demo_page(checkpoint, weights)
