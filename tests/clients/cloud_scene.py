"""A server for Assistant Cloud's client, whose agent has hooks; and fixtures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from statecast import About, AddMessage, Agent, App, Cloud, Feedback, Run, create_app
from tests.clients.cloud import CloudClient, CloudFailed
from tests.clients.serving import served

__all__ = ["API_KEY", "Bees", "app_of", "bees", "client", "refused", "url"]

API_KEY = "an-api-key-of-the-app"


class Bees:
    """An agent with hooks, and what they were told."""

    def __init__(self) -> None:
        self.agent = Agent("bees")
        self.about: list[About] = []
        self.feedback: list[Feedback] = []
        self.go = threading.Event()

        @self.agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            run.messages.assistant().append_text(f"You said: {command.message.text}")

        @self.agent.feedback
        def told(feedback: Feedback) -> None:
            self.feedback.append(feedback)


@pytest.fixture
def bees() -> Bees:
    return Bees()


def app_of(bees: Bees, **settings: Any) -> App:
    return create_app(bees.agent, cloud=Cloud(api_keys=[API_KEY]), **settings)


@pytest.fixture
def url(bees: Bees) -> Iterator[str]:
    with served(app_of(bees)) as base:
        yield base


@pytest.fixture
def client(url: str) -> CloudClient:
    return CloudClient(url, apiKey=API_KEY, userId="ann", workspaceId="hive")


def refused(call: Callable[[], object]) -> tuple[int | None, str | None]:
    with pytest.raises(CloudFailed) as raised:
        call()
    return raised.value.status, raised.value.code
