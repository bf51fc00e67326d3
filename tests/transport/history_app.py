"""An app that keeps threads, with either store, for tests of what is kept beside their logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import AddMessage, Agent, App, Run, create_app
from statecast_agents import Json

ANN, BOB = {"authorization": "ann"}, {"authorization": "bob"}


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'threads.db'}"


def echoing() -> Agent:
    """Return an agent that says what it was told."""
    agent = Agent("echo")

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    return agent


async def who(request: HTTPConnection) -> str | None:
    name = request.headers.get("authorization")
    if name is None:
        raise HTTPException(401, "who are you?")
    return name


def app_of(store: str, agent: Agent | None = None, **settings: Any) -> App:
    settings = {"open_list": True} | settings
    return create_app(agent or echoing(), store=store, **settings)


def text(role: str, words: str, **fields: Json) -> dict[str, Json]:
    """Return a message as assistant-ui has it."""
    return {"role": role, "content": [{"type": "text", "text": words}], **fields}
