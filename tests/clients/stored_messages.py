"""How the published clients keep messages in a history, driven by stored_messages.mjs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from statecast.history.tree import HistoryMessage
from tests.clients.driver import Driver, Json

__all__ = ["Keeper"]


class Keeper:
    """Writes and reads histories as the clients do: a context manager."""

    def __init__(self) -> None:
        self._driver = Driver("stored_messages.mjs")
        self._driver.timeout = 60
        self._asked = 0

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.close()

    def load(self, history: Sequence[HistoryMessage]) -> Json:
        """Read a history as assistant-ui: `{messages, strict, shown, warnings}`."""
        return self._ask("load", rows=[_row(placed) for placed in reversed(history)])

    def load_ui(self, history: Sequence[HistoryMessage]) -> Json:
        """Read a history as the AI SDK: `{messages, invalid, model, warnings}`."""
        return self._ask("decode-ui", rows=[_row(placed) for placed in history])

    def encode(self, messages: Sequence[Json]) -> list[Json]:
        """Return messages of assistant-ui as it stores them."""
        contents: list[Json] = self._ask("encode", messages=list(messages))["contents"]
        return contents

    def encode_ui(self, messages: Sequence[Json]) -> list[Json]:
        """Return messages of the AI SDK as they are stored."""
        contents: list[Json] = self._ask("encode-ui", messages=list(messages))["contents"]
        return contents

    def _ask(self, what: str, **fields: Json) -> Json:
        self._asked += 1
        self._driver.tell({"id": self._asked, "do": what, **fields})
        answer = self._driver.hear()
        assert answer["id"] == self._asked
        assert answer["error"] is None, answer
        return answer


def _row(placed: HistoryMessage) -> Json:
    return {
        "id": placed.id,
        "parent_id": placed.parent_id,
        "height": placed.height,
        "created_at": _time(placed.created),
        "updated_at": _time(placed.updated),
        "format": placed.format,
        "content": placed.content,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
