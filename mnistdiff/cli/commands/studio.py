"""``mnistdiff studio``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, option_groups, options
from mnistdiff.cli.model_input import warn_of
from mnistdiff.cli.signals import leaving_at_once
from mnistdiff.engine.libraries import require
from mnistdiff.engine.threads import import_numpy

if TYPE_CHECKING:
    from mnistdiff.studio.safety import Access

EXAMPLES = """
mnistdiff studio
mnistdiff studio --checkpoint runs/001-base --port 8000
mnistdiff studio --runs experiments --no-open
"""

_Runs = Annotated[Path, options.file("--runs", metavar="DIR", help="The folder whose runs are shown. Default: runs/")]
_Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="The IP address to listen at; another than the default can be reached from the network.",
    ),
]
_Port = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="INT", help="The port; 0 is any free one.")]
_NoOpen = Annotated[bool, typer.Option("--no-open", help="Open no browser.")]


def studio_command(
    checkpoint: options.Checkpoint = None,
    runs: _Runs = Path("runs"),
    host: _Host = "127.0.0.1",
    port: _Port = 0,
    no_open: _NoOpen = False,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    quiet: options.Quiet = False,
) -> None:
    """Open a page in the browser that samples, reads and explains, on this machine alone.

    The address is printed; whoever has it, token included, can use the page. Ctrl-C ends it.
    """
    require("starlette", "uvicorn")
    machine = option_groups.inference_settings(device, backend)

    from mnistdiff.engine.runs.lookup import checkpoints_to_sample

    found = checkpoints_to_sample(checkpoint)
    import_numpy()

    from mnistdiff.api import load
    from mnistdiff.studio.server import open_in_browser, serve

    source = found[0] if len(found) == 1 else None
    model = load(source, device=machine.device, backend=machine.backend)
    warn_of(model.info)

    def ready(access: "Access") -> None:
        """Print the address, and open it."""
        console.note(f"the studio of {model.info.checkpoint}; Ctrl-C ends it", quiet=quiet)
        if not access.is_local:
            console.warn(f"{host} can be reached from the network: whoever sees the address below can use this page")
        console.result(access.url)
        if not no_open:
            open_in_browser(access.url)

    with leaving_at_once():  # nothing is being written, and a computation need not come to its end
        serve(model, runs, host=host, port=port, ready=ready)
