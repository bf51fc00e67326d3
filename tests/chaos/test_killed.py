"""The server is killed, again and again, at moments of every kind: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import asyncio
import math
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.chaos.crowd import Crowd, repeatable, seeded, within
from tests.chaos.ledger import Sent
from tests.chaos.server_process import ServerProcess
from tests.chaos.tabs import Tab
from tests.counts import count

pytestmark = pytest.mark.anyio

KILLS = count("KILLS", 27, long=100)  #: in all; at least that many
TARGETS = ("agents", "short", "slow")
ROUND = 9  #: kills between two quiet moments, see `Killer.kill`


class Killer:
    """Kills a server while a crowd uses two of its threads. A moment is a method that returns when it has come.

    Args:
        crowd: Who uses it.
        random: What decides.
        threads: The threads. Of the first one, what was cut off is not run again.
        sending: What its own commands are sent in.
    """

    def __init__(self, crowd: Crowd, random: Random, threads: tuple[str, str], sending: asyncio.TaskGroup) -> None:
        self._ledger = crowd.ledger
        self._served = crowd.served
        self._random = random
        self._threads = threads
        self._sending = sending
        self._world = crowd.world
        self._long = self._command("long", pieces=3_000, pause=0.02)  # does not end before it is killed
        self._last = self._command("last", pieces=3, pause=0.01)

    async def kill(self) -> Sent:
        """Kill the server at every moment; returns the command whose run was cut off for certain."""
        moments = [
            self.before_the_answer,
            self.before_the_first_entry,
            self.just_begun,
            self.just_at_the_end,
            self.while_it_recovers,
            self.whenever,
        ]
        self._random.shuffle(moments)
        for moment in (self.before_there_are_threads, self.once_there_are_threads, *moments):
            await within(moment.__name__, moment())
            await self._served.kill()
            await self._served.start()
        await within("something to be done afterwards", self._works())
        return self._long

    async def before_there_are_threads(self) -> None:
        """Somebody has sent the first command."""
        await self._served.up()
        await self._ledger.until(lambda: any(sent.thread in self._threads for sent in self._ledger.sent.values()))
        await self._a_little()

    async def once_there_are_threads(self) -> None:
        """Somebody has just been shown one of them."""
        await self._served.up()
        await self._ledger.until(lambda: not self._ledger.furthest.keys().isdisjoint(self._threads))

    async def before_the_answer(self) -> None:
        """Somebody has sent a command, and has no answer yet."""
        await self._served.up()
        sent = await self._next()
        while sent.accepted:
            sent = await self._next()

    async def before_the_first_entry(self) -> None:
        """Somebody knows that a command was accepted, and nobody has seen anything of its run."""
        await self._served.up()
        before = len(self._ledger.sent)
        unseen: set[str] = set()
        while not unseen - self._ledger.runs.keys():
            unseen = await self._ledger.until(
                lambda: {run for sent in self._since(before) for run in sent.runs} - self._ledger.runs.keys()
            )
            await self._a_little()

    async def just_begun(self) -> None:
        """Somebody has seen the first entry of a run."""
        await self._served.up()
        before = len(self._ledger.runs)
        await self._ledger.until(lambda: len(self._ledger.runs) > before)
        await asyncio.sleep(self._random.random() * 0.01)

    async def in_the_middle(self) -> None:
        """Somebody has seen the first pieces of a run, and many are to come."""
        await self._served.up()
        self._send(self._long)
        piece = f"{self._long.name}.{self._random.randint(0, 5)} "
        await self._ledger.until(lambda: piece in self._text(self._threads[0]))
        await self._a_little()

    async def while_it_recovers(self) -> None:
        """It was killed in the middle of a run, has its file again, and is about to mark that run."""
        await self.in_the_middle()
        await self._served.kill()
        await self._served.start()
        await self._served.recovering()
        await self._a_little()

    async def just_at_the_end(self) -> None:
        """Somebody has seen the last piece of a run, and the pause behind it is as good as over."""
        await self._served.up()
        before = dict(self._ledger.furthest)
        pause = await self._ledger.until(lambda: self._last_pause(before))
        await asyncio.sleep(pause + (self._random.random() - 0.5) * 0.02)

    async def whenever(self) -> None:
        """It starts, or has been up for a while."""
        await asyncio.sleep(self._random.random() * 0.6)

    async def _works(self) -> None:
        self._send(self._last)
        await self._ledger.until(lambda: self._last.name in self._ledger.latest[self._threads[0]][0]["done"])

    def _command(self, name: str, *, pieces: int, pause: float) -> Sent:
        name = f"{self._threads[0]}-{name}"
        body = {"type": "echo", "id": name, "name": name, "pieces": pieces, "pause": pause}
        return Sent(self._threads[0], "once", name, 1, body)

    def _send(self, sent: Sent) -> None:
        tab = Tab(self._world, sent.thread, sent.agent, sent.tab, protocol="assistant-transport")
        self._ledger.send(sent)
        self._sending.create_task(tab.deliver(sent))

    async def _next(self) -> Sent:
        """Return the next command that somebody sends, some time later."""
        before = len(self._ledger.sent)
        sent, *_ = await self._ledger.until(lambda: self._since(before))
        await self._a_little()
        return sent

    async def _a_little(self) -> None:
        """Let the server come further: a turn of its loop, or a commit to a slow disk."""
        await asyncio.sleep(self._random.random() * self._random.choice([0.005, 0.05]))

    def _since(self, before: int) -> list[Sent]:
        """Return what was sent after that many commands."""
        return list(islice(self._ledger.sent.values(), before, None))

    def _text(self, thread: str) -> str:
        state, _ = self._ledger.latest.get(thread, ({"text": ""}, None))
        text: str = state["text"]
        return text

    def _last_pause(self, before: dict[str, int]) -> float | None:
        """Return the pause that some run has begun behind its last piece since those revisions; None without one."""
        for thread in self._threads:
            if self._ledger.furthest.get(thread, 0) > before.get(thread, 0):
                state, run = self._ledger.latest[thread]
                name = state["order"][-1] if state["order"] else ""
                if run is not None and run["status"] == "running" and run["id"] == state["runs"].get(name):
                    body = self._ledger.sent[name].body
                    if state["text"].endswith(f"{name}.{body['pieces'] - 1} "):
                        return float(body["pause"])
        return None


@pytest.mark.parametrize("target", TARGETS)
async def test_a_server_that_is_killed_loses_nothing_and_does_nothing_twice(tmp_path: Path, target: str) -> None:
    seed, random = seeded(f"killed {target}")
    served = ServerProcess(tmp_path, f"tests.chaos.echo_agents:{target}")
    async with repeatable(seed, served), Crowd(served, random) as crowd:
        ledger = crowd.ledger
        cut_off: list[Sent] = []
        try:
            await served.start()
            for number in range(math.ceil(KILLS / len(TARGETS) / ROUND)):
                threads = f"once-{number}", f"again-{number}"
                async with (
                    crowd.using((threads[0], "once"), (threads[1], "again")),
                    asyncio.TaskGroup() as sending,
                ):
                    cut_off.append(await Killer(crowd, random, threads, sending).kill())
            await served.kill()
            figures = await ledger.audit(served.file, crowd.threads)
        finally:
            await served.aclose()
    assert served.errors == b""
    for sent in cut_off:
        (run,) = sent.runs
        ends = ledger.ends.get(run)
        assert ends == {"interrupted"} or (target == "short" and not ends), f"the run {run} ended as {ends}"
    counts = {"kills": served.starts, "runs": len(ledger.runs), "commands": len(ledger.sent)}
    counts |= {"accepted": sum(sent.accepted > 0 for sent in ledger.sent.values()), "resumed": crowd.world.resumed}
    print(f"seed {seed}: {figures | counts}")
