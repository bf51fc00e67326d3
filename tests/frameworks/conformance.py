"""What every adapter must do: one table of cases, driven through each framework with its own fake model.

A case that a framework cannot do is in `GAPS` of its rig, with the reason. `docs/frameworks.md` publishes both.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from .provider import CallArgs, CallBegin, Fail, Hang, Reasoning, Step, Text, call
from .stage import Stage

__all__ = ["CASES", "Case"]

ROOT = Path(__file__).parents[2]

HELLO = [Text("Hel"), Text("lo")]
BYE = [Text("Good"), Text("bye")]
Play = Callable[[Stage], Awaitable[None]]

CANCELLED = {"type": "incomplete", "reason": "cancelled"}


@dataclass(frozen=True)
class Case:
    """A case of the table."""

    title: str  #: what works, as `docs/frameworks.md` has it
    play: Play
    slow: bool  #: whether `make quick` leaves it out


CASES: dict[str, Case] = {}


def case(
    title: str, *, slow: bool = False
) -> Callable[[Callable[[Stage], Awaitable[None]]], Callable[[Stage], Awaitable[None]]]:
    """Register the decorated function as a case, under its own name."""

    def register(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
        CASES[play.__name__] = Case(title, play, slow)
        return play

    return register


@case("Text streams token by token")
async def text(stage: Stage) -> None:
    async with stage.serve([*HELLO, Hang(), Text("!")]) as page:
        async with page.saying("Hi"):
            await page.provider.hangs()
            await page.hears("Hello")
            page.provider.release()
        assert await page.said() == [("user", "Hi"), ("assistant", "Hello!")]
        assert page.provider.requests[0].of("user") == ["Hi"]
        assert (await page.messages())[1].get("status", {}).get("type") != "incomplete"


@case("A page reloaded mid-run shows the same thread as one that stayed open")
async def reload(stage: Stage) -> None:
    async with stage.serve(call("c1", "weather", '{"city": "Bonn"}'), [*BYE, Hang(), Text("!")]) as page:
        async with page.saying("Weather?") as response:
            await page.provider.hangs()
            await page.hears("Goodbye")
            assert "sunny in Bonn" in str((await page.call("c1"))["result"])
            page.provider.release()
        assert (await response).state == await page.state()


@case("Reasoning appears as a separate part")
async def reasoning(stage: Stage) -> None:
    async with stage.serve([Reasoning("Let me "), Reasoning("see."), *HELLO]) as page:
        await page.say("Hi")
        parts = [part for message in (await page.messages())[1:] for part in message["parts"]]

    assert [(part["type"], part["text"]) for part in parts] == [("reasoning", "Let me see."), ("text", "Hello")]


@case("Token counts of each answer are in the message's metadata")
async def usage(stage: Stage) -> None:
    async with stage.serve(call("c1", "weather", '{"city": "Bonn"}'), BYE) as page:
        await page.say("Weather?")
        steps = [step["usage"] for message in (await page.messages())[1:] for step in message["metadata"]["steps"]]

    assert len(steps) == 2
    assert all(step["inputTokens"] > 0 and step["outputTokens"] > 0 for step in steps)


@case("The model gets the conversation so far, also after a restart")
async def history(stage: Stage) -> None:
    async with stage.serve(HELLO) as page:
        await page.say("Hi")
    async with stage.serve(BYE) as page:
        await page.say("Bye")
        assert await page.said() == [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Goodbye")]
        (request,) = page.provider.requests

    assert (request.of("user"), request.of("assistant")) == (["Hi", "Bye"], ["Hello"])


@case("Server tools run, and their calls and results appear")
async def backend_tool(stage: Stage) -> None:
    async with stage.serve(call("c1", "weather", '{"city": "Bonn"}'), BYE) as page:
        await page.say("Weather?")
        shown = await page.call("c1")
        assert await page.said() == [("user", "Weather?"), ("assistant", "Goodbye")]
        second = page.provider.requests[1]

    assert (shown["toolName"], shown["args"], shown["isError"]) == ("weather", {"city": "Bonn"}, False)
    assert "sunny in Bonn" in str(shown["result"])
    assert "sunny in Bonn" in second.of("tool")[0]


@case("Arguments of two parallel calls stream interleaved")
async def interleaved_calls(stage: Stage) -> None:
    answer: list[Step] = [
        CallBegin("c1", "weather", 0),
        CallArgs('{"city": ', 0),
        CallBegin("c2", "weather", 1),
        CallArgs('{"city": ', 1),
        CallArgs('"Bonn"}', 0),
        CallArgs('"Rome"}', 1),
    ]
    async with stage.serve(answer, BYE) as page:
        await page.say("Weather?")
        first, second = await page.call("c1"), await page.call("c2")

    assert (first["args"], second["args"]) == ({"city": "Bonn"}, {"city": "Rome"})
    assert "Bonn" in str(first["result"])
    assert "Rome" in str(second["result"])


@case("The model can call frontend tools, which can be answered after a restart")
async def client_tool(stage: Stage) -> None:
    async with stage.serve([*HELLO, *call("c1", "pick_color", '{"of": "walls"}')]) as page:
        await page.say("Paint")
        waiting = await page.call("c1")
        assert not (await page.status())["isRunning"]
        assert "pick_color" in page.provider.requests[0].tools
    assert "result" not in waiting
    assert waiting["args"] == {"of": "walls"}

    async with stage.serve(BYE) as page:
        await page.settle("c1", "blue")
        settled = await page.call("c1")
        (request,) = page.provider.requests
        assert await page.said() == [("user", "Paint"), ("assistant", "HelloGoodbye")]
    assert settled["result"] == "blue"
    assert "blue" in request.of("tool")[0]


TWO_ROOMS = [*call("c1", "book", '{"room": "A"}', 0), *call("c2", "book", '{"room": "B"}', 1)]


@case("Two approvals can be answered separately, with a restart in between")
async def approvals(stage: Stage) -> None:
    async with stage.serve(TWO_ROOMS) as page:
        await page.say("Book both")
        assert {question["callId"] for question in await page.pending()} == {"c1", "c2"}
        assert (await page.call("c1"))["approval"].get("approved") is None
        assert (await page.status())["status"] == "waiting"
        await page.answer({"c2": True})
        assert [question["callId"] for question in await page.pending()] == ["c1"]
        assert page.tools.booked in ([], ["B"]), "what is not approved does not run"
        before = page.tools.booked
    async with stage.serve(BYE) as page:
        await page.answer({"c1": True})
        assert sorted(before + page.tools.booked) == ["A", "B"]
        assert await page.pending() == []
        assert "booked A" in str((await page.call("c1"))["result"])
        assert "booked B" in str((await page.call("c2"))["result"])
        assert (await page.said())[-1] == ("assistant", "Goodbye")


@case("One of two approvals can be denied")
async def denial(stage: Stage) -> None:
    async with stage.serve(TWO_ROOMS, BYE) as page:
        await page.say("Book both")
        await page.answer({"c1": False, "c2": True})
        assert page.tools.booked == ["B"]
        assert "booked B" in str((await page.call("c2"))["result"])
        assert "booked" not in str((await page.call("c1")).get("result"))
        assert (await page.call("c1"))["approval"]["approved"] is False
        assert (await page.said())[-1] == ("assistant", "Goodbye")
        assert len(page.provider.requests[1].of("tool")) == 2, "the model is told of both"


@case("One answer can mix server tools, frontend tools and approvals")
async def mixed_calls(stage: Stage) -> None:
    answer = [
        *call("c1", "weather", '{"city": "Bonn"}', 0),
        *call("c2", "book", '{"room": "A"}', 1),
        *call("c3", "pick_color", '{"of": "walls"}', 2),
    ]
    async with stage.serve(answer, BYE) as page:
        await page.say("All of it")
        await page.answer({"c2": True})
        assert len(page.provider.requests) == 1, "the page's tool has no result yet"
        await page.settle("c3", "blue")
        assert page.tools.booked == ["A"]
        assert "sunny in Bonn" in str((await page.call("c1"))["result"])
        assert "booked A" in str((await page.call("c2"))["result"])
        assert (await page.call("c3"))["result"] == "blue"
        assert (await page.said())[-1] == ("assistant", "Goodbye")
        assert len(page.provider.requests[1].of("tool")) == 3


@case("A new message dismisses an open question, and the agent replies to it")
async def message_instead(stage: Stage) -> None:
    async with stage.serve(call("c1", "book", '{"room": "A"}'), BYE) as page:
        await page.say("Book")
        await page.say("Never mind")
        assert page.tools.booked == []
        assert await page.pending() == []
        assert (await page.said())[-2:] == [("user", "Never mind"), ("assistant", "Goodbye")]
        assert page.provider.requests[1].of("user")[-1] == "Never mind"


@case("A sub-agent's conversation appears inside its call, and nowhere else")
async def sub_agent(stage: Stage) -> None:
    asks = call("c1", "expert", '{"question": "Why?"}')
    async with stage.serve(asks, [Text("Be"), Text("cause")], BYE) as page:
        await page.say("Ask")
        shown = await page.call("c1")
        assert await page.said() == [("user", "Ask"), ("assistant", "Goodbye")]

    inner = [part for message in shown["messages"] for part in message.get("content", message.get("parts"))]
    assert "Because" in [part.get("text") for part in inner]
    assert "Because" in str(shown["result"])


@case("Stop cancels the request to the provider, and the next message is answered")
async def cancel(stage: Stage) -> None:
    async with stage.serve([*HELLO, Hang()], BYE) as page:
        async with page.saying("Hi") as response:
            await page.provider.hangs()
            await page.stop()
        assert page.provider.stopped == 1
        assert (await response).error is None
        answer = (await page.messages())[1]
        assert (answer["parts"][0]["text"], answer["status"]) == ("Hello", CANCELLED)
        await page.say("Bye")
        assert [text for _, text in await page.said()] == ["Hi", "Hello", "Bye", "Goodbye"]
        assert page.provider.requests[-1].of("user")[-1] == "Bye"


@case("Stop ends a run inside a blocking tool, and later writes of the tool are rejected")
async def cancel_in_tool(stage: Stage) -> None:
    async with stage.serve(call("c1", "block"), BYE) as page:
        async with page.saying("Block"):
            await page.tools.blocks()
            await page.stop()
        ended = await page.state()
        await page.tools.release()
        assert await page.state() == ended
        assert len(page.provider.requests) == 1, "the model is not asked again"
        await page.say("Bye")
        assert (await page.said())[-1] == ("assistant", "Goodbye")


@case("If the provider fails before its first token, the run fails, and the next message is answered")
async def error_at_once(stage: Stage) -> None:
    async with stage.serve([Fail()], BYE) as page:
        failed = await page.say("Hi")
        assert failed.error is not None
        assert (await page.status())["status"] == "failed"
        assert await page.said() == [("user", "Hi")]
        await page.say("Bye")
        assert (await page.said())[-1] == ("assistant", "Goodbye")
        page.keeps_the_secret()


@case("If the provider fails mid-answer, the partial answer stays, marked as incomplete")
async def error_in_the_middle(stage: Stage) -> None:
    async with stage.serve([*HELLO, Fail()], BYE) as page:
        failed = await page.say("Hi")
        assert failed.error is not None
        answer = (await page.messages())[1]
        assert (answer["parts"][0]["text"], answer["status"]) == ("Hello", {"type": "incomplete", "reason": "error"})
        await page.say("Bye")
        assert [text for _, text in await page.said()] == ["Hi", "Hello", "Bye", "Goodbye"]
        page.keeps_the_secret()


@case("The text of a tool's exception never reaches a page")
async def secret(stage: Stage) -> None:
    async with stage.serve(call("c1", "fails"), BYE) as page:
        await page.say("Fail")
        await page.messages()
        page.keeps_the_secret()


@case("Editing a message removes what followed it before the agent answers")
async def edit(stage: Stage) -> None:
    async with stage.serve([Text("One")], [Text("Two")], [Text("Three")], [Text("Four")]) as page:
        await page.say("First", id="u1")
        await page.say("Second", id="u2")
        await page.edit({"id": "u2"}, "Other")
        assert [text for _, text in await page.said()] == ["First", "One", "Other", "Three"]
        request = page.provider.requests[2]
        assert (request.of("user"), request.of("assistant")) == (["First", "Other"], ["One"])
        await page.edit({"id": "u1"}, "Anew")
        assert [text for _, text in await page.said()] == ["Anew", "Four"]
        request = page.provider.requests[3]
        assert (request.of("user"), request.of("assistant")) == (["Anew"], [])


@case("An answer can be regenerated")
async def regenerate(stage: Stage) -> None:
    async with stage.serve([Text("One")], [Text("Two")], [Text("Three")]) as page:
        await page.say("First", id="u1")
        await page.say("Second", id="u2")
        await page.edit({"id": "u2"}, "Second")
        assert [text for _, text in await page.said()] == ["First", "One", "Second", "Three"]
        request = page.provider.requests[2]

    assert (request.of("user"), request.of("assistant")) == (["First", "Second"], ["One"])


@case("After `kill -9` mid-run, everything shown is still there, and the next message is answered", slow=True)
async def killed(stage: Stage) -> None:
    """Only a process that dies without a word shows what the store has at that moment."""
    command = [sys.executable, "-m", "tests.frameworks.killed", stage.rig.__name__, str(stage.folder)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()

    async with stage.serve(BYE, BYE) as page:  # one answer is for the run that was cut off, if it runs again
        assert ("user", "Hi") in await page.said()
        shown = str(await page.messages())
        assert "Hello" in shown or page.provider.requests, "a run that runs again may have replaced it"
        await page.over()
        await page.say("Bye")
        assert [text for role, text in await page.said() if role == "user"] == ["Hi", "Bye"]
        assert (await page.said())[-1] == ("assistant", "Goodbye")
        assert page.provider.requests[-1].of("user") == ["Hi", "Bye"]
        half = [message for message in await page.messages() if "Hello" in str(message)]
        assert [message["status"]["type"] for message in half] in ([], ["incomplete"])
