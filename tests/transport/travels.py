"""What tests of earlier revisions need: an agent that remembers, its history, forks and rewinds."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

import anyio

from statecast import AddMessage, Agent, Limits, Run
from statecast.testing import Response, TestClient
from statecast_agents import Json
from tests.transport.followers import Follower, View, following

#: Logs that are compacted after some messages.
SHORT: Final = Limits(keep_entries=4, keep_bytes=4_000)


def writer() -> Agent:
    """Return an agent that answers with the text it gets, word by word, and remembers how many there were."""
    agent = Agent("writer", initial={"messages": [], "words": 0})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        text = str(command.message.parts[0]["text"])
        message = run.messages.assistant()
        for word in text.split():
            message.append_text(f"{word} ")
            run.state["words"] += 1
            await asyncio.sleep(0)
        run.memory["seen"] = [*run.memory.get("seen", []), text]
        run.state["memory"] = run.memory["seen"]

    return agent


async def said(client: TestClient, *texts: str, thread_id: str = "t") -> None:
    for text in texts:
        await client.run(text, thread_id=thread_id)


async def read_history(client: TestClient, thread_id: str = "t") -> Follower:
    """Read a thread from where its history begins until now."""
    now = (await client.get(f"/threads/{thread_id}/state")).json()["revision"]
    async with following(client, thread_id, query="?cursor=start") as follower:
        with anyio.fail_after(20):
            return await follower.until(lambda view: view.revision >= now)


async def fork(client: TestClient, revision: int, thread_id: str = "t", **more: Any) -> Response:
    return await client.post(f"/threads/{thread_id}/fork", json={"revision": revision, **more})


async def rewind(client: TestClient, revision: int, thread_id: str = "t", **more: Any) -> Response:
    return await client.post(f"/threads/{thread_id}/rewind", json={"revision": revision, **more})


def states_of(view: View) -> dict[int, Json]:
    """Return the state at each revision that a reader has seen."""
    states: dict[int, Json] = {}
    replayed = View()
    for frame, cursor in zip(view.frames, view.cursors, strict=True):
        replayed.take(frame, cursor)
        states[replayed.revision] = replayed.state
    return states


def first_answer(states: dict[int, Json]) -> int:
    """Return the first revision at which the first message, a word, is answered."""
    return min(at for at, state in states.items() if state and state["words"] == 1 and "memory" in state)


def without_ids(document: dict[str, Any]) -> dict[str, Any]:
    """Return an exported thread without its id, and with numbers in place of the ids of its runs."""
    text = json.dumps({name: value for name, value in document.items() if name != "threadId"})
    for number, id in enumerate(dict.fromkeys(re.findall(r"run_\w+", text))):
        text = text.replace(f'"{id}"', f'"run {number}"')
    numbered: dict[str, Any] = json.loads(text)
    return numbered
