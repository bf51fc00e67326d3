"""An agent to tell stories of: it notes what it did, can be held, asks, talks, and takes its time to stop."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import anyio

from statecast import AddMessage, Agent, Run, UntypedCommand
from statecast.state import Json
from statecast_agents.agent import Policy

LINGERS: Final = 30  #: turns that it takes to stop
WORDS: Final = 4  #: that it says when it talks


class Actor:
    """An agent that notes which commands it did, can be held, asks, and talks."""

    def __init__(self, policy: Policy) -> None:
        initial: Json = {"title": "", "done": [], "messages": [], "text": ""}
        self.agent = agent = Agent(initial=initial, policy=policy, waiting_policy=policy, writable=["/title"])
        self.holds: list[anyio.Event] = []
        self.asking: set[str] = set()  #: runs that wait for an answer that is still to come
        on_thread: dict[str, str] = {}

        async def linger() -> None:
            for _ in range(LINGERS):
                await asyncio.sleep(0)

        def note(run: Run, command: Any) -> None:
            run.state["done"].append(command.body["n"])

        @agent.on("add", "reply")
        async def add(run: Run, command: UntypedCommand) -> None:
            note(run, command)

        @agent.on("hold")
        async def hold(run: Run, command: UntypedCommand) -> None:
            assert on_thread.setdefault(run.thread_id, run.id) == run.id, "runs on a thread never overlap"
            release = anyio.Event()
            self.holds.append(release)
            try:
                await release.wait()
            finally:
                try:
                    await linger()
                finally:
                    del on_thread[run.thread_id]
            note(run, command)

        @agent.on("ask")
        async def ask(run: Run, command: UntypedCommand) -> None:
            self.asking.add(run.id)
            try:
                answer: UntypedCommand = await run.wait_for("reply")
            finally:
                self.asking.discard(run.id)
                await linger()
            note(run, answer)
            note(run, command)

        @agent.on("talk")
        async def talk(run: Run, command: UntypedCommand) -> None:
            for number in range(WORDS):
                run.parts.append_text(f"{number} ")
                run.append_text(["text"], f"{command.body['n']} ")
                await asyncio.sleep(0)
            note(run, command)

        @agent.on(AddMessage)
        async def say(run: Run, command: AddMessage) -> None:
            run.messages.last_assistant().append_text("yes")
