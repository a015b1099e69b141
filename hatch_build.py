"""What the package index is told that the repository does not need: absolute addresses."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# [text](address) and ![text](address), where the address has no scheme; the label may hold `code`.
_RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:)([^)\s]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Fills in the README and the project's addresses from ``repository`` in pyproject.toml, the only place for it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add ``readme`` and ``urls``."""
        repository = self.config["repository"].rstrip("/")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, repository)}
        metadata["urls"] = {
            "Repository": repository,
            "Documentation": f"{repository}#readme",
            "Commands": f"{repository}/blob/HEAD/.github/COMMANDS.md",
            "Security": f"{repository}/blob/HEAD/.github/SECURITY.md",
        }


def absolute(text: str, repository: str) -> str:
    """A page of Markdown whose relative links and pictures lead to the repository's newest version."""

    def replace(match: re.Match[str]) -> str:
        picture, label, address = match.groups()
        if address.startswith("#"):
            return f"{label}({repository}{address})"
        return f"{picture}{label}({repository}/{'raw' if picture else 'blob'}/HEAD/{address})"

    return _RELATIVE.sub(replace, text)
