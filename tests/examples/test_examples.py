"""Each example runs, alone, in every way that its first lines say."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from statecast import create_app
from tests.clients.serving import served
from tests.examples.asking import PROTOCOLS, Json, ask, say

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PATIENCE = 60  # seconds to start, and to stop

#: Runs a file as a script, on another port than the 8000 it asks for.
ON_PORT = """
import runpy, sys, uvicorn
path, port = sys.argv[1:]
make = uvicorn.Config.__init__
def on_port(self, app, **options):
    assert (options["host"], options["port"]) == ("127.0.0.1", 8000)
    make(self, app, **{**options, "port": int(port)})
uvicorn.Config.__init__ = on_port
sys.argv = [path]
runpy.run_path(path, run_name="__main__")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*command: str, port: int) -> Iterator[str]:
    """Yield the base URL of a server that a command starts."""
    base = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _wait_for(base, process)
        yield base
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    assert process.returncode in (0, -15), said


def _wait_for(base: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended: {process.communicate()[0]}")
        try:
            httpx.get(base, timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.05)  # a process that starts cannot be waited for in another way
    pytest.fail(f"{process.args!r} does not answer")


def first_lines(path: Path) -> str:
    return path.read_text(encoding="utf-8").split('"""')[1]


def test_each_example_says_how_it_is_run() -> None:
    assert len(EXAMPLES) >= 4
    for path in EXAMPLES:
        assert f"python examples/{path.name}" in first_lines(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_a_script(path: Path) -> None:
    port = free_port()
    prefix = "/agents" if path.stem == "mounted" else ""
    with running(sys.executable, "-c", ON_PORT, str(path), str(port), port=port) as base:
        assert httpx.get(f"{base}{prefix}/health").json()["status"] == "ok"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_from_the_command_line(path: Path, tmp_path: Path) -> None:
    command = re.search(r"statecast serve (examples\.\w+:\w+)", first_lines(path))
    if path.stem == "mounted":
        assert command is None, "an app around the app is served by its own server"
        return
    assert command is not None
    assert command[1] == f"examples.{path.stem}:agent"
    port = free_port()
    cli = [sys.executable, "-c", "from statecast.cli import main; raise SystemExit(main())"]
    store = ["--store", f"sqlite:///{tmp_path / 'statecast.db'}"]  # by default it is kept where one stands
    with running(*cli, "serve", command[1], "--port", str(port), *store, port=port) as base:
        assert httpx.get(f"{base}/health").json()["status"] == "ok"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_smallest_agent_answers(protocol: str) -> None:
    from examples.minimal import agent

    with served(create_app(agent)) as base:
        answer = ask(base, say("one two"), protocol=protocol)
    assert answer.text == "You said: one two "
    assert answer.frames >= 4


def test_the_smallest_agent_is_a_dozen_lines() -> None:
    lines = (ROOT / "examples" / "minimal.py").read_text(encoding="utf-8").split('"""')[2].splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 13


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_typed_agent_works_through_its_plan(protocol: str) -> None:
    from examples.typed_state import agent

    with served(create_app(agent)) as base:
        topic = {"type": "set-topic", "topic": "Bees"}
        work = {"type": "start-work", "steps": ["read", "write"], "pauseSeconds": 0.01}
        answer = ask(base, topic, work, say("Hello"), protocol=protocol)

    assert answer.text == "The topic is Bees. You said: Hello"
    assert answer.state["progress"] == {"done": 2, "total": 2}
    assert answer.state["plan"] == [{"title": "read", "status": "done"}, {"title": "write", "status": "done"}]


def test_the_typed_agent_needs_its_topic_first() -> None:
    from examples.typed_state import agent

    with served(create_app(agent)) as base:
        assert ask(base, {"type": "start-work", "steps": ["read"]}).error == "Set a topic first."
        for wrong in ({"type": "set-topic", "topic": ""}, {"type": "start-work", "steps": []}):
            with pytest.raises(httpx.HTTPStatusError, match="422"):
                ask(base, wrong)
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            ask(base, say("Hello"), thread="new", state={"plan": "none"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_mounted_app_answers_beside_the_others_pages(protocol: str) -> None:
    from examples.mounted import app

    with served(app) as base:
        assert httpx.get(base).text == "The agents are at /agents."
        assert ask(f"{base}/agents", say("Hello"), protocol=protocol, thread=protocol).text == "You said: Hello"
        assert httpx.get(f"{base}/agents/nothing").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("result", "said"), [({"approved": True}, "Done: delete old logs."), ({"approved": False}, "Then I leave it.")]
)
def test_the_careful_agent_takes_an_answer_before_and_after_a_restart(
    protocol: str, restarts: bool, result: Json, said: str, tmp_path: Path
) -> None:
    from examples.approval import agent

    store = f"sqlite:///{tmp_path / 'threads.db'}"
    with contextlib.ExitStack() as servers:
        base = servers.enter_context(served(create_app(agent, store=store)))
        asked = ask(base, say("delete old logs"), protocol=protocol)
        call = asked.parts[-1]
        assert (call["toolName"], call["args"]["task"]) == ("approval", "delete old logs")
        assert httpx.get(f"{base}/status/t").json()["status"] == "waiting"
        if restarts:
            servers.close()
            base = servers.enter_context(served(create_app(agent, store=store)))
            assert httpx.get(f"{base}/status/t").json()["status"] == "interrupted"
        command = {
            "type": "add-tool-result",
            "toolCallId": call["toolCallId"],
            "toolName": "approval",
            "result": result,
        }
        answer = ask(base, command, protocol=protocol, state=asked.state)

    assert (answer.text, answer.error) == (f"Let me make sure. {said}", None)


def test_the_careful_agent_drops_its_question_for_another_message() -> None:
    from examples.approval import agent

    with served(create_app(agent)) as base:
        asked = ask(base, say("delete old logs"))
        again = ask(base, say("delete everything"), state=asked.state)

    assert [part["type"] for part in again.parts] == ["text", "tool-call"]
    assert again.parts[-1]["args"]["task"] == "delete everything"
