"""Generators: an agent loop of a person's own, as a generator over the provider's answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from statecast import Run
from statecast.frameworks import GeneratorAgent, inputs
from statecast.parts import Usage
from statecast_agents import Agent, Json
from tests.frameworks.provider import USAGE, CallArgs, CallBegin, Provider, Reasoning, Request, Text
from tests.frameworks.tools import Tools

TITLE = "Generators"

GAPS: Mapping[str, str] = {}


def agent(provider: Provider, tools: Tools) -> Agent:
    async def answer(run: Run) -> AsyncIterator[Json]:
        given = inputs(run)
        if given.waits:
            return
        for call in run.messages.open_calls():  # those that were approved or denied since
            approved = given.answers[call.part["approval"]["id"]]["approved"]
            booked: Json = await tools.book(**call.args) if approved else "The user refused."
            yield {"type": "tool-call", "toolCallId": call.id, "result": booked, "isError": not approved}
        used: list[Usage] = []
        while True:
            calls: dict[int, str] = {}
            async for step in provider.answer(_request(run)):
                match step:
                    case Text(delta):
                        yield delta
                    case Reasoning(delta):
                        yield {"type": "reasoning", "text": delta}
                    case CallBegin(id, name, index):
                        calls[index] = id
                        yield {"type": "tool-call", "toolCallId": id, "toolName": name}
                    case CallArgs(delta, index):
                        yield {"type": "tool-call", "toolCallId": calls[index], "argsText": delta}
            used.append(Usage(*USAGE))
            run.messages.last_assistant().set_metadata(steps=used)
            results = [await _result(run, provider, tools, id) for id in calls.values()]
            for id, result in zip(calls.values(), results, strict=True):
                if result is not None:
                    yield {"type": "tool-call", "toolCallId": id, "result": result}
            if not calls or None in results:
                return

    return GeneratorAgent(answer, cancel_seconds=0.5)  # `block` does not notice that it is to end


async def _result(run: Run, provider: Provider, tools: Tools, id: str) -> str | None:
    """Return the result of a call; None for one that waits for the user."""
    call = run.messages.find_tool_call(id)
    assert call is not None
    args: Any = call.finish_args()
    match call.name:
        case "weather":
            return await tools.weather(**args)
        case "fails":
            return await tools.fails()
        case "block":
            return str(await run.in_thread(tools.block))
        case "expert":
            message = call.messages.assistant()
            async for step in provider.answer(Request([("user", args["question"])], [])):
                assert isinstance(step, Text)
                message.append_text(step.delta)
            return message.text
        case "book":
            call.ask("Book it?")
    return None


def _request(run: Run) -> Request:
    messages: list[tuple[str, str]] = []
    for message in run.messages:
        messages.append((message.role, message.text))
        messages += [("tool", str(call.result)) for call in message.tool_calls if call.settled]
    return Request(messages, ["weather", "book", "fails", "block", "expert", *run.request.tools])
