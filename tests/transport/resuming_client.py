"""What a client does that resumes, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import msgspec

from statecast.protocol.assistant_transport import events as assistant_transport
from statecast.state import Json, operations
from statecast.testing import Response, TestClient

RESUME = "/resume?protocol=assistant-transport"


def chunks_in(body: bytes) -> list[dict[str, Any]]:
    return assistant_transport.decode(body)[0]


def after(state: Json, body: bytes) -> Json:
    """Return what a client has that had `state`, and was sent `body`."""
    for chunk in chunks_in(body):
        if chunk["type"] == "update-state":
            state = operations.apply(state, msgspec.convert(chunk["operations"], list[operations.Operation]))
    return state


async def first_step(client: TestClient) -> dict[str, Any]:
    """Return what is handed out: the state, and the `runId` to go on with."""
    answer = await client.post("/initial-state", json={"threadId": "t"})
    assert answer.status == 200, answer.content
    handed: dict[str, Any] = answer.json()
    return handed


def second_step(handed: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body that a client sends which was handed something."""
    return {"threadId": "t", "runId": handed["runId"], "commands": [], **fields}


def is_snapshot(chunk: dict[str, Any]) -> bool:
    return any(operation["path"] == [] for operation in chunk.get("operations", ()))


def replay_of(response: Response) -> bytes:
    """Return what of a response repeats what happened before it."""
    return response.content[: int(response.headers["aui-replay-content-length"])]
