"""Who uses the server as one should, over every protocol, while stories are told, and gets just what it asked for."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from tests.stories.cast import heard
from tests.stories.wire import Wire

__all__ = ["SteadyUser"]

PATIENCE = 60  #: seconds after which an answer that does not come counts as missing


class SteadyUser:
    """Says things to the agent `steady`, each on a thread of its own, until `stopping`.

    Args:
        url: Where the server is.
        random: What decides.
        name: Of the story; its threads begin with it.
    """

    def __init__(self, url: str, random: Random, name: str) -> None:
        self.stopping = False
        self.said = 0
        self._wire = Wire(url, "steady")
        self._random = Random(random.random())
        self._name = name

    async def use(self) -> None:
        """Say things, and check what comes of each.

        Raises:
            AssertionError: Something else came of it.
        """
        while not self.stopping or self.said == 0:
            self.said += 1
            thread = text = f"{self._name}-steady-{self.said}"
            message = {"id": "m", "role": "user", "content": text}
            parts = {"id": "m", "role": "user", "parts": [{"type": "text", "text": text}]}
            asked: list[tuple[str, dict[str, Any]]] = [
                ("/assistant", {"threadId": thread, "commands": [{"type": "add-message", "message": parts}]}),
                ("/chat", {"id": thread, "messages": [parts]}),
                ("/chat?protocol=data-stream", {"threadId": thread, "messages": [message]}),
                ("/ag-ui", {"threadId": thread, "runId": "r", "messages": [message], "state": {}, "tools": []}),
                ("/text", {"threadId": thread, "messages": [message]}),
                ("/sse", {"threadId": thread, "messages": [message]}),
                ("/json", {"threadId": thread, "messages": [message]}),
                ("/v1/chat/completions", {"model": "steady", "messages": [message]}),
            ]
            path, body = self._random.choice(asked)
            path += f"{'&' if '?' in path else '?'}agent=steady"
            answer = await self._wire.ask("POST", path, body, enough=PATIENCE)
            what = f"{path} with {text} was answered with {answer.status} {answer.body[:2_000]!r}"
            assert answer.status == 200, what
            assert heard(text).encode() in answer.body, what
            if not path.startswith("/v1/"):
                await self._check(thread, text)
            await asyncio.sleep(self._random.random() * 0.1)

    async def _check(self, thread: str, text: str) -> None:
        """Check that a thread has what was said, and the answer, and nothing else."""
        answer = await self._wire.ask("GET", f"/threads/{thread}/state", enough=PATIENCE)
        assert answer.status == 200, answer
        found = answer.json()
        messages = [
            (message["role"], "".join(part.get("text", "") for part in message["parts"]))
            for message in found["state"]["messages"]
        ]
        assert messages == [("user", text), ("assistant", heard(text))], found
        assert found["state"]["runs"] == 1, found
        assert found["run"]["status"] == "completed", found
