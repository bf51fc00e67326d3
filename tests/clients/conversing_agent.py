"""Conversations that clients play which hold the messages themselves: the agent's part, and what comes out of it.

Clients have forms of their own for messages. What they show is compared with the state in a form of ours: who said
what, part by part, with neighbouring texts of one kind as one, and neighbouring messages of the assistant as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from statecast import AddMessage, AddToolResult, Agent, AgentError, AssistantMessage, Run
from statecast.parts import Usage
from tests.clients.scenes import Gates

Json: TypeAlias = Any
Part: TypeAlias = tuple[Any, ...]
Said: TypeAlias = list[tuple[str, list[Part]]]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Script = Callable[[Run, AssistantMessage], Awaitable[None]]


def conversing(gates: Gates | None = None) -> Agent:
    """Return an agent that does what the first word of the user's message is the name of."""
    gates = gates or Gates()
    agent = Agent(initial={"title": "Untitled", "messages": []})
    scripts: dict[str, Script] = {}

    def script(function: Script) -> Script:
        scripts[function.__name__] = function
        return function

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        name = command.message.text.partition(" ")[0]
        if name == "parts":
            await parts_only(run)
        else:
            await scripts.get(name, text)(run, run.messages.assistant())

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        outcome = "failed with" if command.is_error else "gave"
        await spoken(run.messages.last_assistant(), f"{command.tool_name} {outcome} {plain(command.result)}")

    @script
    async def text(run: Run, message: AssistantMessage) -> None:
        await spoken(message, 'Grüß "Gott",\n\\ \u2028 😀 done')

    @script
    async def think(run: Run, message: AssistantMessage) -> None:
        for word in ("Let ", "me ", "see"):
            message.append_reasoning(word)
            await asyncio.sleep(0)
        await spoken(message, "I see.")

    @script
    async def look(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "Looking.")
        call = message.add_tool_call("weather")
        for piece in ('{"city"', ': "Bo', 'nn", "days": [1,', "2]}"):
            call.append_args(piece)
            await asyncio.sleep(0)
        call.finish_args()
        await asyncio.sleep(0)
        call.set_result({"degrees": 12.5, "sky": None})
        message.add_tool_call("count", {}).set_result("out of numbers", is_error=True)
        await spoken(message, "It is 12.")

    @script
    async def ask(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "Let me ask.")
        message.add_tool_call("add", {"a": 1, "b": 2})

    @script
    async def both(run: Run, message: AssistantMessage) -> None:
        message.add_tool_call("weather", {"city": "Bonn"}).set_result("sunny")
        message.add_tool_call("add", {"a": 1, "b": 2})

    @script
    async def wait(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "One moment.")
        answer = await run.call_tool("add", {"a": 1, "b": 2}, message=message)
        await spoken(message, f"It is {plain(answer)}.")

    @script
    async def wait_twice(run: Run, message: AssistantMessage) -> None:
        first = await run.call_tool("add", {"a": 1, "b": 2}, message=message)
        second = await run.call_tool("add", {"a": 3, "b": 4}, message=message)
        await spoken(message, f"They are {plain(first)} and {plain(second)}.")

    @script
    async def approve(run: Run, message: AssistantMessage) -> None:
        approved = await run.approval("Delete it?", path="/tmp/x")
        await spoken(message, "Deleted." if approved else "Kept.")

    @script
    async def show(run: Run, message: AssistantMessage) -> None:
        message.add_source("https://example.org/sea", title="The sea", id="s1")
        await spoken(message, "Here.")
        message.add_source("https://example.org/land", id="s2")
        message.add_file(PIXEL, "image/png")
        message.add_file("https://example.org/a.pdf", "application/pdf")
        message.add_data("chart", {"points": [1, 2, None]})
        message.add_data("chart", {"points": []})
        await spoken(message, "There.")

    @script
    async def progress(run: Run, message: AssistantMessage) -> None:
        message.add_data("progress", {"percent": 0})
        message.append_text("Working.")
        await asyncio.sleep(0)
        for percent in (50, 100):
            message.message["parts"][0]["data"]["percent"] = percent
            await asyncio.sleep(0)
        await spoken(message, "Done.")

    @script
    async def title(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "I name it.")
        run.state["title"] = "Bees"
        await asyncio.sleep(0)
        run.append_text(["title"], " and honey")
        run.state["count"] = run.state.get("count", 0) + 1
        await spoken(message, "Named.")

    @script
    async def steps(run: Run, message: AssistantMessage) -> None:
        with run.parts.step() as step:
            message.add_tool_call("weather", {"city": "Bonn"}).set_result("sunny")
            step.usage, step.finish_reason = Usage(10, 2), "tool-calls"
        with run.parts.step() as step:
            await spoken(message, "Sunny.")
            step.usage = Usage(20, 3)

    @script
    async def several(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "First.")
        await spoken(run.messages.assistant(), "Second.")

    @script
    async def rename(run: Run, message: AssistantMessage) -> None:
        message.append_text("Half ")
        await asyncio.sleep(0)
        assert message.rename(f"resp_{run.id}")
        await spoken(message, "and half.")
        run.state = {**run.state}  # which sends all messages once more
        await spoken(run.messages.open(f"resp_{run.id}"), " That is all.")

    @script
    async def delegate(run: Run, message: AssistantMessage) -> None:
        call = message.add_tool_call("research", {"topic": "sea"})
        call.messages.user("How many waves?")
        researcher = call.messages.assistant()
        await spoken(researcher, "I count the waves.")
        researcher.add_tool_call("count", {}).set_result(3)
        await spoken(researcher, "Three.")
        call.set_result({"waves": 3})
        await spoken(message, "There are three.")

    @script
    async def fail(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "I try.")
        raise AgentError("The library is closed.", code="closed")

    @script
    async def crash(run: Run, message: AssistantMessage) -> None:
        raise RuntimeError("password=hunter2")

    @script
    async def hold(run: Run, message: AssistantMessage) -> None:
        message.append_text("half")
        await gates.passed(f"{run.thread_id}/half")
        await spoken(message, " and half")

    @script
    async def mixed(run: Run, message: AssistantMessage) -> None:
        await spoken(message, "Let me look.")
        for word in ("It ", "may ", "rain."):
            message.append_reasoning(word)
            await asyncio.sleep(0)
        call = message.add_tool_call("weather")
        call.append_args('{"city": "Bo')
        await gates.passed(f"{run.thread_id}/half")
        call.append_args('nn"}')
        call.finish_args()
        await asyncio.sleep(0)
        call.set_result({"degrees": 12.5, "sky": None})
        message.append_reasoning("It does not.")
        message.add_tool_call("count", {}).set_result("out of numbers", is_error=True)
        await spoken(message, "It is 12.")

    async def parts_only(run: Run) -> None:
        run.parts.append_reasoning("hm")
        run.parts.append_text("Well. ")
        run.parts.add_tool_call("look", {"at": "sea"}).set_result({"waves": 3})
        await asyncio.sleep(0)
        run.parts.add_source("https://example.org/sea", title="The sea", id="s1")
        run.parts.add_file(PIXEL, "image/png")
        run.parts.add_data_part("chart", {"points": [1, 2]})
        run.parts.add_annotations({"seen": True})
        run.parts.append_text("Done.")
        run.parts.finish(usage=Usage(7, 8))

    return agent


#: What `parts` says, in the form in which messages are compared.
EMITTED: list[Part] = [
    ("reasoning", "hm"),
    ("text", "Well. "),
    ("tool-call", "look", {"at": "sea"}, {"waves": 3}, False),
    ("source", "https://example.org/sea", "The sea"),
    ("file", "image/png", PIXEL),
    ("data", "chart", {"points": [1, 2]}),
    ("text", "Done."),
]


async def spoken(message: AssistantMessage, text: str) -> None:
    """Say a text word by word, a turn of the event loop for each."""
    head, *rest = text.split(" ")
    message.append_text(head)
    for word in rest:
        await asyncio.sleep(0)
        message.append_text(f" {word}")
    await asyncio.sleep(0)


def plain(value: Json) -> str:
    """Return JSON text."""
    return msgspec.json.encode(value).decode()


# What comes out of it


def held(state: Json) -> Said:
    """Return what a state holds."""
    return joined((message["role"], [_held(part) for part in message["parts"]]) for message in state["messages"])


def _held(part: Json) -> Part:
    match part["type"]:
        case "text" | "reasoning" as kind:
            return kind, part["text"]
        case "tool-call":
            return call(part["toolName"], part["args"], part)
        case "source":
            return "source", part["url"], part.get("title")
        case "file":
            return file(part["mimeType"], part["data"])
        case "image":
            return file("image/png", part["image"])
        case "data":
            return "data", part["name"], part["data"]
        case kind:
            raise AssertionError(f"expected a part of a known type, got {kind}")


def call(name: str, args: Json, settled: Json) -> Part:
    """Return a tool call; protocols without a form for it have the result of one that failed as a text."""
    if "result" not in settled:
        return "tool-call", name, args
    result, failed = settled["result"], settled.get("isError") is True
    return "tool-call", name, args, plain(result) if failed and not isinstance(result, str) else result, failed


def file(mime: str, data: str) -> Part:
    """Return a file, whether it is base64, or that in a URL, or another URL."""
    return "file", mime, data.partition(";base64,")[2] if data.startswith("data:") else data


def joined(messages: Iterable[tuple[str, Sequence[Part]]]) -> Said:
    """Return messages in the form in which they are compared."""
    said: Said = []
    for role, parts in messages:
        if not parts:
            continue
        if role == "user" or not said or said[-1][0] != role:
            said.append((role, []))
        for part in parts:
            before = said[-1][1]
            if part[0] in ("text", "reasoning"):
                if not part[1]:
                    continue
                if before and before[-1][0] == part[0]:
                    before[-1] = part[0], before[-1][1] + part[1]
                    continue
            before.append(part)
    return said
