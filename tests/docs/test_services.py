"""The units, images and services of the guide to deploying and of `deploy/`, started as their files say.

Only paths, ports, addresses and the host's name are replaced. There are no containers here: what they run is run.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.clients.installed import missing
from tests.clients.node import Json
from tests.clients.serving import Restarting
from tests.docs.pages import ROOT, load
from tests.docs.test_deploy import compose_servers, entry_point
from tests.engines.postgres import fresh_url
from tests.engines.proxies import nginx
from tests.engines.valkey import free_port

FILES = {block.file: block.text for block in load(ROOT / "docs" / "guides" / "deploying.md").blocks if block.file}
DEPLOY = ROOT / "deploy"
UNITS = {"guide": FILES["chat.service"], "deploy": (DEPLOY / "statecast.service").read_text()}
PATIENCE = 60  # seconds for one answer

AGENT = """
from statecast import AddMessage, Agent, Run

agent = Agent(initial={"messages": []})


@agent.on(AddMessage)
def answer(run: Run, command: AddMessage) -> None:
    run.messages.assistant().append_text(f"You said: {command.message.text}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an agent."""
    (tmp_path / "my_agent.py").write_text(AGENT)
    return tmp_path


def started(words: list[str], folder: Path, **replaced: str) -> Restarting:
    """Return a server, not started yet, of a command line with parts of it replaced, all of which are in it."""
    program, *arguments = words
    assert Path(program).name == "statecast"
    text = "\n".join(arguments)
    for old, new in replaced.items():
        assert old in text, (old, text)
        text = text.replace(old, new)
    return Restarting(*text.split("\n"), folder=folder)


def say(address: str, text: str) -> list[str]:
    """Say something on a thread, and return all that is on it then."""
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    body: Json = {"threadId": "t", "commands": [{"type": "add-message", "message": message}]}
    with httpx.Client(base_url=address, timeout=PATIENCE, headers={"host": "chat.example.com"}) as client:
        client.post("/assistant", json=body).raise_for_status()
        messages = client.get("/threads/t/state").raise_for_status().json()["state"]["messages"]
    return [part["text"] for message in messages for part in message["parts"]]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("needs systemd-analyze: install it (Debian: apt install systemd)")
    there = "/srv/chat/.venv/bin/statecast"
    assert there in UNITS[unit]
    file = tmp_path / "chat.service"
    file.write_text(UNITS[unit].replace(there, shutil.which("true") or "/bin/true"))
    answer = subprocess.run([program, "verify", str(file)], capture_output=True, text=True, timeout=PATIENCE)
    said = [line for line in (answer.stdout + answer.stderr).splitlines() if file.name in line]  # not of other units
    assert (answer.returncode, said) == (0, [])


@pytest.mark.parametrize("unit", UNITS)
def test_the_command_of_the_unit_serves_stops_and_starts_again_with_its_threads(unit: str, folder: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNITS[unit], re.MULTILINE)
    (folder / "var").mkdir()
    with started(shlex.split(line), folder, **{"/var/lib/chat/": f"{folder}/var/"}) as server:
        assert say(server.url, "one") == ["one", "You said: one"]
        assert server.stop() == 0
        server.start()
        assert say(server.url, "two") == ["one", "You said: one", "two", "You said: two"]
    assert (folder / "var" / "statecast.db").exists()


def test_the_command_of_the_guides_image_serves_and_stops_with_its_threads_on_the_volume(folder: Path) -> None:
    image = FILES["Dockerfile"]
    (line,) = re.findall(r"^CMD (\[.*\])$", image, re.MULTILINE)
    (volume,) = re.findall(r"^VOLUME (.*)$", image, re.MULTILINE)
    (folder / "data").mkdir()
    ours = {f"sqlite:///{volume}/": f"sqlite:///{folder}/data/", "0.0.0.0": "127.0.0.1"}
    with started(json.loads(line), folder, **ours) as server:
        assert say(server.url, "one") == ["one", "You said: one"]
        assert server.stop() == 0
    assert (folder / "data" / "statecast.db").exists()
    assert "COPY my_agent.py ." in image


def test_the_services_of_compose_share_threads_and_one_goes_on_without_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh_url()
    ours = {"postgresql://chat@database/chat": url, "172.30.0.0/24": "127.0.0.1", "0.0.0.0": "127.0.0.1"}
    with contextlib.ExitStack() as stack:
        servers = []
        for service in compose_servers():
            for name, value in service["environment"].items():
                monkeypatch.setenv(name, value)
            servers.append(stack.enter_context(started([*entry_point(), *service["command"]], folder, **ours)))
        ports = [str(httpx.URL(server.url).port) for server in servers]
        text = (DEPLOY / "nginx.conf").read_text().replace("listen 80", f"listen 127.0.0.1:{(port := free_port())}")
        for number, behind in enumerate(ports, 1):
            assert f"server-{number}:8000" in text
            text = text.replace(f"server-{number}:8000", f"127.0.0.1:{behind}")
        (folder / "proxy").mkdir()
        address = stack.enter_context(nginx(text, folder / "proxy", f"http://127.0.0.1:{port}"))

        for text in ("one", "two"):  # nginx sends them to one and to the other
            assert say(address, text)[-2:] == [text, f"You said: {text}"]
        _, *check = compose_servers()[0]["healthcheck"]["test"]
        check[-1] = check[-1].replace("127.0.0.1:8000", f"127.0.0.1:{ports[0]}")
        assert subprocess.run(check, timeout=PATIENCE).returncode == 0
        assert servers[0].stop() == 0
        assert subprocess.run(check, timeout=PATIENCE, stderr=subprocess.DEVNULL).returncode != 0
        for text in ("three", "four"):
            assert say(address, text)[-2:] == [text, f"You said: {text}"]
