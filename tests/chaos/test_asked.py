"""A server that is killed between a question and its answer: the thread waits as before, and no answer is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast.state import Json
from tests.chaos.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_questions_and_answers_outlive_servers_that_are_killed(tmp_path: Path) -> None:
    """Only processes that are killed show that a question, the memory and an answer are in the file in this order."""
    served = ServerProcess(tmp_path, "tests.chaos.asking_agents:agents")

    async def post(path: str, body: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient() as http:
            return await http.post(f"{await served.up()}{path}", json={"threadId": "t", **body})

    async def answered(**answers: Json) -> int:
        given = {f"ask-{word}": answer for word, answer in answers.items()}
        return (await post("/assistant", {"commands": [{"type": "answer", "answers": given}]})).status_code

    async def look() -> tuple[str, list[str], dict[str, Json]]:
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"{await served.up()}/threads/t/state")).json()
        parts = [part for message in found["state"]["messages"] for part in message["parts"]]
        results = {part["toolCallId"]: part.get("result") for part in parts if part["type"] == "tool-call"}
        return found["run"]["status"], [asked["id"] for asked in found["state"]["pending"]], results

    async def killed() -> None:
        await served.kill()
        await served.start()

    message = {"role": "user", "parts": [{"type": "text", "text": "a b"}]}
    try:
        await served.start()
        assert (
            await post("/assistant", {"commands": [{"type": "add-message", "message": message}]})
        ).status_code == 200
        await killed()
        assert await look() == ("waiting", ["ask-a", "ask-b"], {"a": None, "b": None})
        assert await answered(b=False) == 200
        await killed()
        assert await look() == ("waiting", ["ask-a"], {"a": None, "b": None})
        assert await answered(b=True) == 409
        assert await answered(a=True) == 200
        await killed()
        assert await look() == ("completed", [], {"a": "deleted, as a b asked", "b": "kept"})
    finally:
        await served.aclose()
    assert served.errors == b""
