"""`client.thread`: a conversation in a test, turn by turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, AgentError, Answer, Limits, Run, create_app
from statecast.testing import Refused, RunFailed, TestClient

pytestmark = pytest.mark.anyio


def shop() -> Agent:
    agent = Agent("shop", initial={"orders": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        text = command.message.text
        message = run.messages.assistant()
        if text == "fail":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(broken)
        if text == "refuse":
            raise AgentError("Not today.", code="closed")
        if text == "hang":
            await anyio.sleep_forever()
        if text == "who":
            message.append_text(f"You are {run.user}.")
        elif text == "size":
            size = await run.call_tool("ask_size", {"of": "tea"}, message=message)
            message.append_text(f"Size {size}.")
        elif text == "ask":
            message.append_text("Hm. ")
            run.ask("Now?")
        elif await run.approval(f"{text}?"):
            run.state["orders"].append(text)
            message.append_text("Done.")
        else:
            message.append_text("Left.")

    @agent.on(Answer)
    async def answered(run: Run, command: Answer) -> None:
        run.messages.assistant().append_text(f"You said {list(command.answers.values())}.")

    return agent


async def broken() -> None:
    raise LookupError("hunter2")


async def test_a_conversation_keeps_its_state_between_turns() -> None:
    async with TestClient(shop()) as client, client.thread("t") as t:
        asked = await t.say("Buy")
        assert [(one["name"], one["args"]) for one in t.questions] == [("approval", {"question": "Buy?"})]
        await t.approve()
        assert (t.text, t.questions, t.state["orders"]) == ("Done.", [], ["Buy"])
        again = await t.say("Sell")
        await t.deny("too cheap")
        assert (t.text, t.state["orders"], len(t.messages)) == ("Left.", ["Buy"], 4)

    paths = [operation["path"] for chunk in again.chunks for operation in chunk.get("operations", [])]
    assert [] in [operation["path"] for chunk in asked.chunks for operation in chunk["operations"]]
    assert [] not in paths, "a known state is not sent again"


async def test_a_tool_of_the_page_and_a_question_are_answered() -> None:
    async with TestClient(shop()) as client, client.thread() as t:
        await t.say("size")
        await t.answer(5, to="ask_size")
        assert t.text == "Size 5."
        await t.say("ask")
        assert [(one["name"], one["prompt"]) for one in t.questions] == [("approval", "Now?")]
        await t.answer(True)
        assert t.text.endswith("You said [True].")


async def test_what_is_not_open_cannot_be_answered() -> None:
    async with TestClient(shop()) as client, client.thread() as t:
        with pytest.raises(LookupError, match=r"expected one open question, got 0; open: none"):
            await t.approve()
        await t.say("size")
        with pytest.raises(LookupError, match=r'expected one open question "other", got 0; open: ask_size \(call_'):
            await t.answer(5, to="other")


@pytest.mark.parametrize(("text", "kind", "words"), [("fail", LookupError, "hunter2"), ("refuse", AgentError, "today")])
async def test_a_turn_raises_what_the_agent_raised(text: str, kind: type[Exception], words: str) -> None:
    async with TestClient(shop()) as client, client.thread() as t:
        with pytest.raises(kind, match=words):
            await t.say(text)
        await t.say("who")
        assert t.text == "You are None.", "the conversation goes on"


async def test_what_nobody_raised_has_an_error_of_its_own() -> None:
    app = create_app(shop(), limits=Limits(run_seconds=0.05))
    async with TestClient(app) as client, client.thread() as t:
        with pytest.raises(RunFailed, match=r"run_timeout: ") as failed:
            await t.say("hang")
    assert failed.value.code == "run_timeout"


async def test_a_refused_request_is_raised() -> None:
    async with TestClient(shop()) as client, client.thread("no good id") as t:
        with pytest.raises(Refused, match=r"422 invalid_thread_id") as refused:
            await t.say("Buy")
    assert (refused.value.status, refused.value.code) == (422, "invalid_thread_id")


async def test_a_conversation_is_its_users() -> None:
    async def nobody(connection: Any) -> str:
        raise AssertionError("asked for a user that the test has named")

    async with TestClient(create_app(shop(), identify=nobody)) as client:
        async with client.thread("t", user="ada") as t:
            await t.say("who")
            assert t.text == "You are ada."
        async with client.thread("t", user={"id": "bo"}) as t:
            await t.say("who")
            assert (t.text, len(t.messages)) == ("You are {'id': 'bo'}.", 2)


async def test_a_run_is_cancelled_and_left_runs_are() -> None:
    async with TestClient(shop()) as client:
        async with client.thread("t") as t:
            await t.say("Buy")
            assert await t.cancel()
            assert not await t.cancel()
            await t.say("Buy")
        assert (await client.get("/status/t")).json()["status"] == "cancelled"


async def test_before_the_first_turn_there_is_no_result() -> None:
    async with TestClient(shop()) as client, client.thread() as t:
        assert (t.state, t.messages, t.text, t.questions) == (None, [], "", [])
        with pytest.raises(RuntimeError, match="expected a turn"):
            _ = t.last


TESTS = """
import sys
import pytest
from statecast import AddMessage, Agent, create_app

agent = Agent()

@agent.on(AddMessage)
async def answer(run, command):
    run.messages.assistant().append_text(f"{run.user} said {command.message.text}")

async def test_a_thread(statecast_thread):
    async with statecast_thread(agent, "t", user="ada", limits=None) as t:
        await t.say("hello")
        assert t.text == "ada said hello"

@pytest.mark.parametrize("word", ["a", "b"])
async def test_a_client(statecast_client, word):
    async with statecast_client(create_app(agent)) as client:
        assert (await client.run(word)).state["messages"][1]["parts"][0]["text"] == f"None said {word}"

async def test_an_app_has_its_own_settings(statecast_client):
    with pytest.raises(TypeError, match="got debug beside an app"):
        async with statecast_client(create_app(agent), debug=True):
            pass

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_another_plugin_runs_it(statecast_thread, anyio_backend):
    async with statecast_thread(agent) as t:
        await t.say("hello")
"""

OTHER = """
import sys

def test_nothing_is_imported():
    assert "statecast_pytest" in sys.modules
    assert not [name for name in sys.modules if name.split(".")[0] in ("statecast", "statecast_agents", "starlette")]
"""


@pytest.mark.slow
@pytest.mark.parametrize(("text", "passed"), [(TESTS, "5 passed"), (OTHER, "1 passed")], ids=["tests", "other tests"])
def test_the_plugin_runs_async_tests_and_leaves_others_alone(text: str, passed: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "statecast_pytest", "-W", "error", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert passed in done.stdout
