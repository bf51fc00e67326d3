"""A story: what agents, clients, files and the machine do to a server at once, while others use it as one should.

Those others are a crowd of `tests.chaos`, whose ledger holds whatever they see against all that was seen before. Where
nothing in a story ends the process, each of their runs is completed, exactly once.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from tests.chaos.crowd import Crowd, within
from tests.chaos.server_process import ServerProcess
from tests.stories.acts import ACTS, Trouble
from tests.stories.book import faults
from tests.stories.cast import CONTROL
from tests.stories.damage import damage
from tests.stories.steady_user import SteadyUser
from tests.stories.wire import Wire

__all__ = ["CHAPTER", "Chapter"]

CHAPTER: Final = 8  #: stories told of one file
#: Bytes by which a process may have grown since its first story: what an allocator keeps, and a store in memory has.
ROOM: Final = 256 * 2**20
FILES: Final = 40  #: descriptors, likewise
THREADS: Final = 60  #: threads, likewise: those that deeds hold, and pools that stay

Ending = Literal["goes on", "is killed", "is stopped", "is damaged"]


@dataclass
class Size:
    """What a process holds."""

    bytes: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Size:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(os.listdir(f"/proc/{pid}/fd"))
        return cls(int(status["VmRSS"].split()[0]) * 1024, files, int(status["Threads"]))


@dataclass
class Chapter:
    """Some stories of one server, one after the other.

    Args:
        folder: Where its file is.
        store: Where its threads are.
        seed: What decides, with the number of a story.
    """

    folder: Path
    store: Literal["sqlite", "memory"]
    seed: int
    told: list[str] = field(default_factory=list)  #: what has happened, story by story

    def __post_init__(self) -> None:
        file = self.folder / "threads.db"
        url = f"sqlite:///{file}" if self.store == "sqlite" else "memory"
        self.served = ServerProcess(self.folder, "tests.stories.cast:app", environment={"STORIES_STORE": url})
        self._first: tuple[int, Size] | None = None  #: of the process: its number, and what it held at first
        self._read = 0  #: how much of its log was looked at

    async def tell(self, numbers: range) -> None:
        """Tell these stories.

        Raises:
            AssertionError: Something was harmed.
        """
        random = Random(f"crowd {self.seed} {numbers.start}")
        async with Crowd(self.served, random) as crowd:
            try:
                await self.served.start()
                for number in numbers:
                    await self._tell(number, crowd)
                assert await self.served.stop() == 0, "expected the server to end well"
                self._look_at_the_log()
                if self.store == "sqlite":
                    await crowd.ledger.audit(self.served.file, crowd.threads, owner=CONTROL)
            finally:
                await self.served.aclose()

    async def _tell(self, number: int, crowd: Crowd) -> None:
        random = Random(f"story {self.seed} {number}")
        acts = random.sample(ACTS, random.randint(2, 5))
        endings: list[Ending] = ["goes on", "goes on", "goes on", "is killed", "is stopped", "is damaged"]
        ending: Ending = random.choice(endings) if self.store == "sqlite" else "goes on"
        what = ", ".join(act.__name__.replace("_", " ") for act in acts)
        self.told.append(f"story {number} on {self.store}: {what}; then the server {ending}")
        control = [(f"story-{number}-once", "once"), (f"story-{number}-again", "again")]
        runs = set(crowd.ledger.ends)
        trouble = Trouble(await self.served.up(), random, f"story-{number}")
        trouble.controls = [thread for thread, _ in control]
        steady = SteadyUser(self.served.url, random, trouble.name)
        try:
            async with crowd.using(*control), asyncio.TaskGroup() as group:
                using = group.create_task(steady.use())
                await within("all acts to end", asyncio.gather(*(act(trouble) for act in acts)))
                steady.stopping = True
                await using
                if ending in ("is killed", "is stopped"):
                    await self._end(ending)
                    await self.served.start()
            trouble.close()
            await self._settle(trouble)
        finally:
            trouble.close()
        if ending == "goes on":
            ended = {run: ends for run, ends in crowd.ledger.ends.items() if run not in runs}
            unfinished = {run: ends for run, ends in ended.items() if ends != {"completed"}}
            assert not unfinished, f"expected all runs of the control to be completed, got {unfinished}"
            assert ended, "expected the control to have runs"
            self._weigh()
        elif ending == "is damaged":
            await self._damage(crowd, random, number)
        self._look_at_the_log()

    async def _end(self, ending: Ending) -> None:
        if ending == "is killed":
            await self.served.kill()
        else:
            assert await self.served.stop() == 0, "expected the server to end well"

    async def _settle(self, trouble: Trouble) -> None:
        """Stop what the trouble left behind, and wait until the server has nothing to do and says that it is ready."""
        await self.served.up()
        wire = Wire(self.served.url, CONTROL)
        for owner in trouble.owners:
            theirs = Wire(self.served.url, owner)
            for thread in (await self._listed(theirs)) | {*trouble.threads}:
                await theirs.ask("POST", "/cancel", {"threadId": thread, "queued": True})
                await theirs.ask("DELETE", f"/threads/{thread}")

        await within("the server to be ready, with no runs left", self._ready(wire, idle=True))

    async def _ready(self, wire: Wire, *, idle: bool = False) -> None:
        """Wait until the server says that it is ready, and, where it is to be idle, has no runs."""
        while True:
            ready = await wire.ask("GET", "/health/ready")
            health = await wire.ask("GET", "/health")
            if ready.status == 200 and health.status == 200 and not (idle and health.json()["runs"]):
                return
            await asyncio.sleep(0.1)

    async def _listed(self, wire: Wire) -> set[str]:
        answer = await wire.ask("GET", "/threads?limit=100")
        assert answer.status == 200, answer
        return {thread["remoteId"] for thread in answer.json()["threads"]}

    async def _damage(self, crowd: Crowd, random: Random, number: int) -> None:
        """Spoil a thread of somebody's in the file; after a restart it is theirs alone that cannot be read."""
        mark = f"MARK-OF-STORY-{number}"
        wire = Wire(self.served.url, "victim")
        message: dict[str, Any] = {"role": "user", "parts": [{"type": "text", "text": mark}]}
        for thread in ("victim", "neighbour"):
            text = mark if thread == "victim" else "unharmed"
            message["parts"][0]["text"] = text
            body = {"threadId": f"{thread}-{number}", "commands": [{"type": "add-message", "message": message}]}
            answer = await wire.ask("POST", "/assistant?agent=rough", body)
            assert answer.status == 200, answer
        assert await self.served.stop() == 0
        assert damage(self.served.file, mark, random) > 0, "expected the victim's text in the file"
        await self.served.start()
        wire = Wire(await self.served.up(), "victim")
        spoiled = await wire.ask("GET", f"/threads/victim-{number}/state")
        assert (spoiled.status, b'"thread_damaged"' in spoiled.body) == (409, True), spoiled
        neighbour = await wire.ask("GET", f"/threads/neighbour-{number}/state")
        assert neighbour.status == 200, neighbour
        assert b"unharmed" in neighbour.body
        for thread, agent in crowd.threads:
            assert await crowd.world.get(f"/threads/{thread}/state") is not None, f"{thread} of {agent} is gone"
        await wire.ask("DELETE", f"/threads/victim-{number}")

        await within("the server to be ready in spite of the damage", self._ready(wire))

    def _weigh(self) -> None:
        """Check that the process holds about what it held after its first story."""
        pid = self.served.pid
        now = Size.of(pid)
        if self._first is None or self._first[0] != pid:
            self._first = pid, now
            return
        first = self._first[1]
        assert now.bytes <= first.bytes + ROOM, f"the process grew from {first} to {now}"
        assert now.files <= first.files + FILES, f"the process grew from {first} to {now}"
        assert now.threads <= first.threads + THREADS, f"the process grew from {first} to {now}"

    def _look_at_the_log(self) -> None:
        log = self.served.errors[self._read :].decode(errors="replace")
        self._read += len(self.served.errors[self._read :])
        found = faults(log)
        assert not found, f"expected no such lines in the log: {found[:5]}"
