"""Ship the project's documents in the wheel, where the demo agent reads them.

`README.md`, `docs/*.md` and `docs/protocol/*.md` become `statecast/demo/documents/*.md`. An editable install has no
such folder: there the demo reads the files of the checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DOCUMENTS = "statecast/demo/documents"


class DocumentsHook(BuildHookInterface):  # type: ignore[type-arg]  # the parameter is the builder's, of no use here
    """Add the documents to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map each document to its place in the wheel, unless the build is editable.

        Raises:
            ValueError: Two documents have one name.
        """
        if version == "editable":
            return
        root = Path(self.root)
        sources: dict[str, Path] = {}
        folders = (root / "docs", root / "docs" / "protocol")
        for source in [root / "README.md", *(page for folder in folders for page in sorted(folder.glob("*.md")))]:
            if source.name in sources:
                raise ValueError(f"expected one document named {source.name}, got {sources[source.name]} and {source}")
            sources[source.name] = source
        build_data["force_include"].update({str(source): f"{DOCUMENTS}/{name}" for name, source in sources.items()})
