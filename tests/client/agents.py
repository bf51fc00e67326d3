"""The agent of these tests, and the gate that holds its runs."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel

from statecast import AddMessage, AddToolResult, Agent, Command, Run, UntypedCommand

HOLD = {"type": "hold"}


class Note(Command, frozen=True):
    """Note a text."""

    text: str


def make(**settings: Any) -> tuple[Agent, threading.Event]:
    """Return an agent, and what lets its held runs go on, from any thread."""
    agent = Agent(initial=lambda: {"notes": [], "text": "hello"}, writable=["/notes"], commands=["reply"], **settings)
    gate = threading.Event()

    @agent.on(Note)
    async def noted(run: Run, command: Note) -> None:
        run.state["notes"].append(command.text)

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state["notes"].append("held")
        await opened()
        run.state["notes"].append("went on")

    @agent.on("wait")
    async def wait(run: Run, command: UntypedCommand) -> None:
        answer: UntypedCommand = await run.wait_for("reply")
        run.state["notes"].append(answer.body["text"])

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        raise LookupError("hunter2")

    @agent.on("write")
    async def write(run: Run, command: UntypedCommand) -> None:
        for number in range(command.body["count"]):
            run.state["text"] += f"{number} bees\u2028\r "
            if number % 10 == 0:
                run.state["notes"].append(number)
            await anyio.lowlevel.checkpoint()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for piece in ("You ", "said ", f'"{command.message.text}".'):
            message.append_text(piece)
            await anyio.lowlevel.checkpoint()

    @agent.on("say")
    async def say(run: Run, command: UntypedCommand) -> None:
        run.messages.assistant().append_text("held")
        await opened()

    @agent.on("tell")
    async def tell(run: Run, command: UntypedCommand) -> None:
        for piece in ("It ", "was ", "a ", "bee."):
            run.parts.append_text(piece)
            await anyio.lowlevel.checkpoint()

    @agent.on("call")
    async def call(run: Run, command: UntypedCommand) -> None:
        message = run.messages.assistant()
        call = message.add_tool_call("ask_user", {"question": "Why?"}, id="call_1")
        result = await run.wait_for(AddToolResult, where=lambda command: command.tool_call_id == call.id)
        message.append_text(f"You said {result.result}.")

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        call = run.messages.assistant().add_tool_call("delete", {"file": "a.txt"}, id="call_1")
        call.ask("Delete it?\nIt is old.")
        run.ask("Why?", kind="text")

    @agent.on("grow")
    async def grow(run: Run, command: UntypedCommand) -> None:
        run.state["text"] += command.body["text"]

    @agent.on("flood")
    async def flood(run: Run, command: UntypedCommand) -> None:
        for number in range(command.body["count"]):
            run.state["flood"] = f"{number}" * 50_000
            await anyio.lowlevel.checkpoint()

    @agent.on("speak")
    async def speak(run: Run, command: UntypedCommand) -> None:
        run.parts.append_reasoning("hm")
        for number in range(10):
            run.parts.append_text(f"{number} ")
            if number == 5:
                await opened()
        run.parts.add_tool_call("look", {"at": 1}).set_result("seen")

    async def opened() -> None:
        while not gate.is_set():  # noqa: ASYNC110  # set by another thread
            await anyio.sleep(0.005)

    return agent, gate


agent = make()[0]
