"""A batch that ends the process each time is given up after three tries, and the server comes up again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads.runs.tries import TRIES
from tests.transport.followers import crashed, posted, store_of, until_status
from tests.transport.held_agent import note, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
WORK = {"type": "work"}

POISON = """
import asyncio, os, sys
from statecast import Agent, create_app
from statecast.testing import TestClient

agent = Agent(initial={"tried": 0}, restartable=sys.argv[1] == "restartable")


@agent.on("poison")
async def poison(run, command):
    run.state["tried"] += 1
    if sys.argv[2] == "later":
        run.flush()
        await asyncio.sleep(0.2)
    os._exit(9)


async def main():
    async with TestClient(create_app(agent, store="sqlite:///threads.db")) as client:
        if (await client.get("/status/t")).status == 404:
            await client.run({"type": "poison"}, thread_id="t")
        while (status := (await client.get("/status/t")).json()["status"]) in ("queued", "running"):
            await asyncio.sleep(0.01)
        print(status, (await client.get("/threads/t/state")).json()["run"].get("error", {}).get("code"))


asyncio.run(main())
"""


@pytest.mark.parametrize(("kind", "when"), [("restartable", "later"), ("restartable", "at once"), ("plain", "at once")])
def test_what_ends_the_process_is_given_up(kind: str, when: str, tmp_path: Path) -> None:
    """Slow: a process for each try, since only a process can be ended."""
    (tmp_path / "poison.py").write_text(POISON, encoding="utf-8")
    paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport"))
    command = [sys.executable, "poison.py", kind, when]
    ends = 0
    while True:
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )
        if done.returncode != 9:
            break
        ends += 1
        assert ends < 3 * TRIES
    # That it began is not kept when it ends the process at once, so the first try may not count.
    assert ends in ((TRIES,) if when == "later" else (TRIES, TRIES + 1))
    assert (done.returncode, done.stdout.split()) == (0, ["failed", "too_many_tries"])


def restartable(attempts: list[str]) -> Agent:
    agent = Agent(restartable=True)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        attempts.append(run.id)
        note(run, "working")
        await anyio.sleep_forever()

    return agent


async def test_a_server_that_is_asked_to_stop_uses_up_no_try(tmp_path: Path) -> None:
    attempts: list[str] = []
    for number in range(2 * TRIES):
        async with TestClient(create_app(restartable(attempts), store=store_of("sqlite", tmp_path))) as client:
            if number == 0:
                async with client.stream("POST", "/assistant", json=posted(WORK)) as response:
                    await response.read_until(b"working")
            await until(lambda number=number: len(attempts) == number + 1)  # type: ignore[misc]  # a default
    assert len(set(attempts)) == 1


async def test_crashes_in_a_row_use_them_up(tmp_path: Path) -> None:
    attempts: list[str] = []
    store: Any = store_of("sqlite", tmp_path)
    run: Any = None
    for number in range(TRIES + 2):
        async with TestClient(create_app(restartable(attempts), store=store)) as client:
            if number == 0:
                async with client.stream("POST", "/assistant", json=posted(WORK)) as response:
                    await response.read_until(b"working")
            with anyio.fail_after(30):
                while len(attempts) == number and (run is None or run["status"] != "failed"):
                    run = (await client.get("/threads/t/state")).json()["run"]
            if len(attempts) == number:
                break
            await until_status(client, "running")
            left = crashed(store, tmp_path)
        store = left
    assert run["error"]["code"] == "too_many_tries"
    # A crash may take back that a try began.
    assert len(attempts) in (TRIES, TRIES + 1)
