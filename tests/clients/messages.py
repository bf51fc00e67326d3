"""The published decoders of message protocols, driven by messages.mjs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.clients import chat, data_stream
from tests.clients.conversing_agent import Part, joined
from tests.clients.driver import Driver, Json

__all__ = ["DECODERS", "Decoder", "Decoders", "Read"]

Decoder: TypeAlias = Literal["ai-sdk", "ui-message-stream", "data-stream"]

#: With the protocol that each reads.
DECODERS: dict[Decoder, str] = {
    "ai-sdk": "ui-message-stream",
    "ui-message-stream": "ui-message-stream",
    "data-stream": "data-stream",
}


@dataclass(frozen=True)
class Read:
    """What a decoder made of a response."""

    decoder: Decoder
    parts: list[Json]  #: of the message, in the package's own form
    metadata: Json
    status: Json  #: None where the package has none
    data: list[Json]  #: what came beside the message
    error: str | None
    warnings: list[str]  #: what was printed, at any level

    @property
    def shown(self) -> list[Part]:
        """The parts in the form in which messages are compared."""
        if self.decoder == "ai-sdk":
            said = chat.shown([{"role": "assistant", "parts": self.parts}])
        else:
            said = data_stream.shown([{"role": "assistant", "content": self.parts}])
        return said[0][1] if said else []

    def may_show(self, parts: list[Part]) -> list[Part]:
        """Return what of some parts this decoder has among those of a message."""
        sayable = [part for part in parts if self.decoder != "ui-message-stream" or part[0] != "data"]
        said = joined([("assistant", sayable)])
        return said[0][1] if said else []


class Decoders:
    """All decoders, in one process for thousands of calls: a context manager."""

    def __init__(self) -> None:
        self._driver = Driver("messages.mjs")
        self._driver.timeout = 60
        self._asked = 0

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.close()

    def read(self, decoder: Decoder, body: bytes, message: Json = None) -> Read:
        """Decode a whole response, which goes on with `message` if there is one."""
        self._asked += 1
        request = {"id": self._asked, "decoder": decoder, "body": base64.b64encode(body).decode()}
        self._driver.tell(request if message is None else {**request, "message": message})
        answer = self._driver.hear()
        assert answer["id"] == self._asked
        return Read(
            decoder=decoder,
            parts=answer["parts"],
            metadata=answer["metadata"],
            status=answer.get("status"),
            data=answer["data"],
            error=answer["error"],
            warnings=answer["warnings"],
        )
