"""The scripts of the page of ``export --html`` in Node."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from demo_pages import SCRIPTS


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Run a script with the page's modules: ``node(script, **given)`` returns what it gives to ``result``, as JSON."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("there is no Node.js")

    def run(script: str, **given: Any) -> Any:
        text = f"const given = {json.dumps(given)};\nconst result = (value) => console.log(JSON.stringify(value));\n"
        text += re.sub(r"from '\./", f"from '{SCRIPTS.as_uri()}/", script)
        done = subprocess.run(
            [program, "--input-type=module", "-"], input=text.encode(), capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run
