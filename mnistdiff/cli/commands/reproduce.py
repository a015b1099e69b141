"""``mnistdiff reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, options, pictures
from mnistdiff.cli.drawing import about, warn_of
from mnistdiff.cli.output import Output

EXAMPLES = """Examples:

mnistdiff reproduce digit_7_42.png

mnistdiff reproduce grid.png --checkpoint runs/001-fast -o again.png

mnistdiff reproduce morph.gif

mnistdiff reproduce grid.png --json"""

_Picture = Annotated[
    Path, typer.Argument(metavar="PICTURE", readable=False, help="What this program drew; - is stdin.")
]
_Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-c",
        readable=False,
        help="The checkpoint or run it was drawn from, or bundled; default: looked for by its SHA-256.",
        show_default=False,
    ),
]
_Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|-",
        help="The picture to write; - is stdout. Default: reproduced.png or reproduced.gif.",
        show_default=False,
    ),
]
_AnySize = Annotated[
    bool,
    typer.Option("--any-size", help="Draw it even if that takes minutes or hours: the picture says how much there is."),
]


def reproduce_command(
    picture: _Picture,
    checkpoint: _Checkpoint = None,
    output: _Output = "",
    any_size: _AnySize = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw a picture again, from what it says of itself, and compare.

    Every picture and animation that this program draws from a model holds digits, seeds, settings and the SHA-256 of
    its checkpoint (but for the previews of a training). On the same machine the same bytes come out.
    """
    given = pictures.read(picture)
    ending = f".{given.kind}"
    what = "an animation" if given.kind == "gif" else "a picture"
    target = Output.one_file(output or f"reproduced{ending}", (ending,), what=what, as_json=json)
    target.refuse_existing([], force=force)

    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.data.image_files import Picture
    from mnistdiff.engine.outputs.provenance import Provenance
    from mnistdiff.engine.outputs.reproduction import reproduce, require_affordable
    from mnistdiff.engine.runs.lookup import checkpoint_with_digest

    source = Provenance.of(given)
    if not any_size:
        require_affordable(source, name=given.name)
    path = checkpoint_with_digest(source.checkpoint, checkpoint)
    subject = ModelInfo.read(path)
    warn_of(subject)
    content = reproduce(source, path)
    identical = content == given.content
    same_image = identical or given.shows_the_same_as(Picture("the picture", content))
    differs = (
        f"not the same image as {given.name}: it was drawn by version {source.version} on a machine or with "
        "libraries that round otherwise, or was changed since"
    )
    told = about(subject) if same_image else about(subject, differs)
    target.finish(content, {"identical": identical, "same_image": same_image, **source.to_dict(), **told}, as_json=json)
    if identical:
        console.note(f"the same bytes as {given.name}", quiet=quiet or json)
    elif same_image:
        console.note(f"the same image as {given.name}, in a file that was written otherwise", quiet=quiet or json)
    else:
        console.warn(differs)
