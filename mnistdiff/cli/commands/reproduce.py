"""``mnistdiff reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, image_input, options
from mnistdiff.cli.model_input import about, warn_of
from mnistdiff.cli.output import Output

EXAMPLES = """
mnistdiff reproduce digit_7_42.png
mnistdiff reproduce grid.png --checkpoint runs/001-fast -o again.png
mnistdiff reproduce morph.gif
mnistdiff reproduce grid.png --json
"""

_Image = Annotated[
    Path, typer.Argument(metavar="IMAGE", readable=False, help="A PNG or GIF that this program sampled; - is stdin.")
]
_CHECKPOINT = "The checkpoint, run or bundled model it was sampled from; default: searched for by its SHA-256."
_Checkpoint = Annotated[Path | None, options.file("--checkpoint", "-c", metavar="PATH", help=_CHECKPOINT)]
_OUTPUT = "The file to write; - is stdout. Default: reproduced.png or reproduced.gif."
_Output = Annotated[str | None, options.file("--output", "-o", metavar="FILE|-", help=_OUTPUT)]
_AnySize = Annotated[
    bool, typer.Option("--any-size", help="Allow minutes or hours of work: the metadata say how much it is.")
]


def reproduce_command(
    image: _Image,
    checkpoint: _Checkpoint = None,
    output: _Output = None,
    any_size: _AnySize = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sample an image again from its embedded provenance metadata, and compare.

    Every image and animation that this program samples holds digits, seeds, settings and the SHA-256 of its checkpoint
    (except the previews of a training). On the same machine the same bytes result.
    """
    given = image_input.read(image)
    suffix = f".{given.kind}"
    what = "an animation" if given.kind == "gif" else "an image"
    target = Output.one_file(output or f"reproduced{suffix}", (suffix,), what=what, as_json=json)
    target.refuse_existing(force=force)

    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.data.image_files import Picture
    from mnistdiff.engine.outputs.provenance import Provenance
    from mnistdiff.engine.outputs.reproduction import reproduce, require_affordable
    from mnistdiff.engine.runs.lookup import checkpoint_with_digest

    source = Provenance.of(given)
    if not any_size:
        require_affordable(source, name=given.name)
    path = checkpoint_with_digest(source.checkpoint, checkpoint)
    info = ModelInfo.read(path)
    warn_of(info)
    content = reproduce(source, path)
    identical = content == given.content
    same_image = identical or given.shows_the_same_as(Picture("the image", content))
    differs = (
        f"not the same image as {given.name}: it was sampled by version {source.version} on a machine or with "
        "libraries that round differently, or was changed since"
    )
    values = {"identical": identical, "same_image": same_image, **source.to_dict()}
    target.finish(content, {**values, **about(info, *([] if same_image else [differs]))}, as_json=json)
    if identical:
        console.note(f"the same bytes as {given.name}", quiet=quiet or json)
    elif same_image:
        console.note(f"the same image as {given.name}, in a file that was written differently", quiet=quiet or json)
    else:
        console.warn(differs)
