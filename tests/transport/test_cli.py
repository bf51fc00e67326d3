"""The command line, as a process of its own: `statecast serve my_agent.py`, `statecast demo`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO

import httpx
import pytest

from statecast import cli

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds for a process to start, and to end
AGENT = """
import asyncio
from statecast import Agent, create_app

agent = Agent("mine")
other = Agent("other")
both = [agent, other]
app = create_app(other)
number = 5

@agent.on("hold")
async def hold(run, command):
    run.state = "held"
    await asyncio.sleep(3600)

@agent.on("fail")
async def fail(run, command):
    raise LookupError("hunter2")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_agent.py").write_text(AGENT)
    (tmp_path / "broken_agent.py").write_text("import no_such_module")
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    paths = [str(ROOT / "agents"), str(ROOT / "transport")]
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; from statecast.cli import main; sys.exit(main())", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "STATECAST_PORT": "0"},  # 8000 may be taken here
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the URL at which a server answers, and its process; it is stopped afterwards, if it still runs."""
    process = start(folder, *arguments, "--port", "0")
    with process:
        try:
            line = _out(process).readline()
            found = re.fullmatch(r"Statecast serves .+ on (http://\S+:\d+)\n", line)
            assert found, (line, process.communicate(timeout=PATIENCE))
            yield found[1], process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.communicate(timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()


def _out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def test_an_agent_is_served(folder: Path) -> None:
    with running(folder, "serve", "my_agent:agent") as (url, _):
        assert url.startswith("http://127.0.0.1:")
        answer = httpx.post(f"{url}/assistant?protocol=assistant-transport", json={"commands": [], "state": {"a": 1}})
        assert answer.text == "data: [DONE]\n\n"
        assert httpx.get(f"{url}/agents").json()["agents"][0]["name"] == "mine"
        assert httpx.get(f"{url}/health", headers={"host": "evil.example"}).status_code == 421
        failed = httpx.post(f"{url}/assistant", json={"commands": [{"type": "fail"}]})
        assert "hunter2" not in failed.text


@pytest.mark.parametrize(
    ("targets", "names"),
    [(["my_agent:both"], ["mine", "other"]), (["my_agent:other", "my_agent:agent"], ["other", "mine"])],
)
def test_several_agents_are_served(folder: Path, targets: list[str], names: list[str]) -> None:
    with running(folder, "serve", *targets) as (url, _):
        assert [agent["name"] for agent in httpx.get(f"{url}/agents").json()["agents"]] == names


def test_an_app_is_served(folder: Path) -> None:
    with running(folder, "serve", "my_agent:app") as (url, _):
        assert [agent["name"] for agent in httpx.get(f"{url}/agents").json()["agents"]] == ["other"]


def test_the_options_of_a_server(folder: Path) -> None:
    options = ["--cors-origin", "https://page.example", "--allowed-host", "good.example", "--debug"]
    with running(folder, "serve", "my_agent:agent", *options) as (url, _):
        page = {"origin": "https://page.example"}
        assert httpx.get(f"{url}/health", headers=page).headers["access-control-allow-origin"] == page["origin"]
        other = httpx.get(f"{url}/health", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert httpx.get(f"{url}/health", headers={"host": "good.example"}).status_code == 200
        assert httpx.get(f"{url}/health", headers={"host": "evil.example"}).status_code == 421
        assert "hunter2" in httpx.post(f"{url}/assistant", json={"commands": [{"type": "fail"}]}).text


def test_a_setting_is_taken_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATECAST_STORE", "memory")
    monkeypatch.setenv("STATECAST_ALLOWED_HOST", "good.example,other.example")
    with running(folder, "serve", "my_agent:agent") as (url, _):
        assert httpx.get(f"{url}/health", headers={"host": "other.example"}).status_code == 200
        assert httpx.get(f"{url}/health").json()["store"] == "memory"


def test_the_log_is_written_as_json(folder: Path) -> None:
    with running(folder, "serve", "my_agent:agent", "--store", "memory", "--log-format", "json") as (url, process):
        body = {"threadId": "t", "commands": [{"type": "fail"}]}
        httpx.post(f"{url}/assistant", json=body, timeout=PATIENCE)
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
    lines = {line["logger"]: line for line in map(json.loads, errors.splitlines())}
    assert "hunter2" in lines["statecast"]["traceback"]
    run = lines["statecast.runs"]
    assert (run["level"], run["thread_id"], run["agent"], run["status"]) == ("info", "t", "mine", "failed")


def test_the_demo_is_served_with_its_page(folder: Path) -> None:
    with running(folder, "demo") as (url, _):
        assert "<html" in httpx.get(url).text
        titled = httpx.post(f"{url}/assistant", json={"commands": [{"type": "set-title", "title": "Cursors"}]})
        assert "Cursors" in titled.text


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_agent:", 'got "my_agent:"'),
        (":agent", "expected a file or a module"),
        ("no_such.py", 'expected a file with an agent, got "no_such.py", which is not a file'),
        ("my_agnet.py", 'which is not a file (did you mean "my_agent.py"?)'),
        ("no_such:agent", 'expected a file or a module with an agent, found no "no_such"'),
        ("my_agents", 'found no "my_agents" (did you mean "my_agent.py"?)'),
        (".", 'expected a Python file or a module, as in "my_agent.py" or "my_agent", got "."'),
        ("my_agent:missing", 'the module "my_agent" has no "missing"; it has agent, other, app\n'),
        ("my_agent:agnet", 'it has agent, other, app (did you mean "my_agent:agent"?)'),
        ("my_agent:number", "to be an Agent, a list of them, or an App, got int"),
    ],
)
def test_a_bad_target_is_a_plain_message(folder: Path, target: str, message: str) -> None:
    with start(folder, "serve", target, "--port", "0") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("statecast: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_a_plain_message_of_all_that_serve_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments in (["dev", "no_such.py"], ["serve", "--reload", "no_such.py"], ["types", "no_such.py"]):
        port = [] if arguments[0] == "types" else ["--port", "0"]
        assert cli.main([*arguments, *port]) == 2
        out, err = capsys.readouterr()
        assert (out, err) == ("", 'statecast: expected a file with an agent, got "no_such.py", which is not a file\n')


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("import no_such_module", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("\nagent = 1 +", 2, "SyntaxError: invalid syntax"),
        ("def make():\n    return 1 / 0\nagent = make()", 3, "ZeroDivisionError: division by zero"),
        ("from statecast import create_app\nagent = create_app([])", 2, "ValueError: expected"),
    ],
)
def test_a_failing_import_shows_the_users_own_file_and_line(folder: Path, text: str, line: int, reason: str) -> None:
    (folder / "broken_agent.py").write_text(text)
    for command in ("serve", "types"):
        with start(folder, command, "broken_agent:agent") as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (2, "")
        assert reason in err
        assert f"statecast: cannot import {folder / 'broken_agent.py'}, line {line}\n" in err
        first = next(line for line in err.splitlines() if line.startswith("  File"))
        assert "broken_agent.py" in first


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["serve"], "serve: the following arguments are required: target"),
        (["sevre", "a.py"], '(did you mean "serve"?)'),
        (["serve", "a.py", "--prot", "9"], 'serve: there is no option "--prot" (did you mean "--port"?)'),
        (["send", "Hello", "--thread", "t", "there"], 'got "there": quote text that has spaces'),
        (["demo", "--port", "x"], "--port: expected a port from 0 to 65535, got x"),
        (["demo", "--port", "70000"], "--port: expected a port from 0 to 65535, got 70000"),
        (["demo", "--grace", "soon"], "--grace: expected a number of seconds, 0 or more, got soon"),
        (["demo", "--on-disconnect", "x"], '--on-disconnect: expected one of continue, cancel, got "x"'),
    ],
)
def test_bad_arguments_are_answered_with_what_to_do(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said, where = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert said.startswith("statecast")
    assert text in said
    assert where.startswith('See "statecast ')


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "statecast new shop" in capsys.readouterr().err


def test_a_store_that_cannot_be_opened_is_a_plain_message(folder: Path) -> None:
    for store, text in {
        "agents.db": '(did you mean "sqlite:///agents.db"?)',
        "sqlite:///no/such.db": "the store no/such.db needs the folder no, which is missing",
    }.items():
        with start(folder, "serve", "my_agent:agent", "--port", "0", "--store", store) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode in (1, 2), out, err.count("\n")) == (True, "", 1)
        assert text in err


def test_python_runs_it_as_a_module(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "statecast", "serve", "no_such.py", "--port", "0"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert told.stderr.startswith("statecast: expected a file with an agent")


def test_a_port_in_use_is_a_plain_message(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with start(folder, "serve", "my_agent:agent", "--port", str(taken.getsockname()[1])) as process:
            out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, 2)
    assert out == ""
    assert "is taken by another process" in err
    assert "--port 0" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_stop_ends_its_streams_and_itself(folder: Path, number: signal.Signals) -> None:
    options = ["--grace", "0.1", "--log-level", "warning"]
    with running(folder, "serve", "my_agent:agent", *options) as (url, process), httpx.Client() as client:
        body = {"commands": [{"type": "hold"}]}
        path = f"{url}/assistant?protocol=assistant-transport"
        with client.stream("POST", path, json=body, timeout=PATIENCE) as response:
            lines = response.iter_lines()
            assert any("held" in line for line in lines)
            process.send_signal(number)
            assert any("run_interrupted" in line for line in lines)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


def test_an_idle_server_stops_at_once(folder: Path) -> None:
    with running(folder, "serve", "my_agent:agent", "--grace", "3600") as (url, process), httpx.Client() as client:
        client.get(f"{url}/health")  # and the connection stays open
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_what_is_no_http_does_no_harm(folder: Path) -> None:
    with running(folder, "serve", "my_agent:agent") as (url, process):
        host, _, port = url.removeprefix("http://").partition(":")
        for nonsense in (b"\x00\x01\x02\r\n\r\n", b"GET / SMTP/1.0\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n"):
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
                connection.sendall(nonsense)
                assert connection.recv(1_000).startswith(b"HTTP/1.1 4")
        assert httpx.get(f"{url}/health").status_code == 200
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err


def test_the_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="statecast")
    assert script.load() is cli.main
