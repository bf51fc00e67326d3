"""Write the parts of an assistant message, except its tool calls."""

from __future__ import annotations

from typing import Literal

from .ids import new_id
from .surrogates import check_text, join_surrogates
from .tracked import TrackedDict
from .values import Json

__all__ = ["PartWriter"]


class PartWriter:
    """Write the parts of a message."""

    message: TrackedDict  #: the message itself, as part of the state
    field: str  #: where it has its parts

    def append_text(self, delta: str) -> None:
        """Append to the last part if it is a text; else add a text.

        Raises:
            TypeError: `delta` is not a str.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one.
        """
        self._grow("text", delta)

    def append_reasoning(self, delta: str) -> None:
        """Append to the last part if it is reasoning; else add one. Raises what `append_text` raises."""
        self._grow("reasoning", delta)

    def add_source(self, url: str, *, title: str | None = None, id: str | None = None) -> None:  # field
        """Add a web page that the answer cites."""
        part = {"type": "source", "sourceType": "url", "id": id or new_id("src"), "url": url}
        self.add_part(part if title is None else {**part, "title": title})

    def add_file(self, data: str, mime_type: str) -> None:
        """Add a file; `data` is base64 or a URL."""
        self.add_part({"type": "file", "data": data, "mimeType": mime_type})

    def add_data(self, name: str, data: Json) -> None:
        """Add application data with a name."""
        self.add_part({"type": "data", "name": name, "data": data})

    def add_part(self, part: dict[str, Json]) -> TrackedDict:
        """Add a part of any kind, and return it as part of the state."""
        parts = self.message[self.field]
        parts.append(part)
        return parts[-1]  # type: ignore[no-any-return]  # a dict assigned is a tracked dict

    def _grow(self, kind: Literal["text", "reasoning"], delta: str) -> None:
        parts = self.message[self.field]
        if parts and parts[-1].get("type") == kind:
            parts[-1].append_text("text", delta)
            return
        text, half = join_surrogates(check_text(delta))
        parts.append({"type": kind, "text": text})
        if half:
            parts[-1].append_text("text", half)
