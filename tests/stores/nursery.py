"""A process that starts others, which cost little and may be killed: each writes random commits to a SQLite store.

`python -m tests.stores.nursery` reads jobs, a line each, and forks a process for one after the other. That process says
what it has done, a line each, and "ended" follows when it has ended, however that was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, cast
from unittest.mock import patch

import msgspec
from msgspec.structs import replace

from statecast.stores import Appended, Change, SqliteStore
from statecast.threads.log.journal import Journal
from statecast.threads.log.log import Log
from tests.stores.disk import Recorder, found_at
from tests.stores.model import KEYS, Author, Held, after, holds
from tests.stores.small_store import little

__all__ = ["Job", "Nursery", "born_with", "commits_of"]

ROOT = Path(__file__).parents[2]

#: Seconds after which a process that hangs ends.
PATIENCE = 120


class Job(msgspec.Struct, frozen=True):
    """What a process does."""

    path: str  #: the store's file
    record: str  #: the folder where it records what is synced
    seed: int  #: of what it writes
    commits: int  #: after which it stops cleanly
    durable: bool
    little: bool  #: whether the store's limits are little
    torn: int | None  #: of so many writes to a file by Python, the last is cut off and ends the process


def born_with(epoch: str) -> str:
    """Return the epoch that a thread was made with, which names it wherever it moves."""
    return epoch.partition(".")[0]


def commits_of(job: Job, held: Held) -> Iterator[tuple[Sequence[Change], Held]]:
    """Yield the commits of a job that finds a store with these threads, and what is held after each."""
    plain = {key: (replace(saved, epoch=born_with(saved.epoch)), runs) for key, (saved, runs) in held.items()}
    author = Author(Random(job.seed), plain)
    for _ in range(job.commits):
        commit = author.commit()
        yield commit, author.held


class Nursery:
    """The process that starts others; one at a time."""

    def __enter__(self) -> Nursery:
        paths = os.pathsep.join(str(ROOT / part) for part in ("agents", "transport", "."))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stores.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            cwd=ROOT,
            text=True,
            bufsize=1,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with self._process:
            pass

    def start(self, job: Job) -> int:
        """Start a process, and return its number."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(job).decode() + "\n")
        what, number = self.line()
        assert what == "born"
        return int(number)

    def line(self) -> list[str]:
        """Return the words of the next line that the process says."""
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        assert words, "the nursery has ended"
        return words


class _Shown:
    """Says how far a thread's log may be shown."""

    def __init__(self, name: str) -> None:
        self._name = name

    def show(self, revision: int) -> None:
        _say("shown", self._name, revision)


class _Logged(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say("logged", record.getMessage().replace("\n", " "))


async def _write(job: Job) -> None:
    random = Random(job.seed + 1)
    store = SqliteStore(job.path, durable=job.durable)
    await store.open()
    held = await holds(store)
    for saved, _ in held.values():
        _say("epoch", born_with(saved.epoch), saved.epoch)
    _say("open")
    journal = Journal(store)
    writing = asyncio.create_task(journal.run())
    logs: dict[str, Log] = {}
    now = held
    for number, (commit, _) in enumerate(commits_of(job, held), 1):
        for change in commit:
            now = after(now, [change])
            if isinstance(change, Appended):
                name = born_with(now[change.key][0].epoch)
                journal.lane_of(change.key).add_entry(logs.setdefault(name, cast("Log", _Shown(name))), change)
            else:
                journal.add(change)
        match random.randrange(6):
            case 0:  # SQLite gets what it does not have yet
                await store.load(random.choice(KEYS))
            case 1:  # what nobody waits for gets further
                await asyncio.sleep(random.random() * 0.003)
            case 2 | 3:
                await asyncio.sleep(0)
            case _:
                await journal.wait_stored()
                _say("stored", number)
    await journal.wait_stored()
    _say("stored", job.commits)
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    _say("stopping")
    await store.aclose()
    _say("stopped")


def _say(*words: object) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def _tear(path: Path, at: int, random: Random) -> None:
    """Cut the write with that number to one of a store's files off, and end the process."""
    write, left = os.write, at

    def torn(file: int, data: Any) -> int:
        nonlocal left
        if file > 2 and any(os.path.samestat(os.fstat(file), found) for found in found_at(path).values()):
            left -= 1
            if left == 0:
                write(file, bytes(data)[: random.randint(0, len(data))])
                os.kill(os.getpid(), signal.SIGKILL)
        return write(file, data)

    patch("os.write", torn).start()


def _child(job: Job) -> None:
    signal.alarm(PATIENCE)
    _say("born", os.getpid())
    path = Path(job.path)
    Recorder(path, Path(job.record)).install()
    if job.torn is not None:
        _tear(path, job.torn, Random(job.seed))
    logging.getLogger("statecast").addHandler(_Logged())
    with little() if job.little else contextlib.nullcontext():
        asyncio.run(_write(job))


def main() -> None:
    """Start a process for each job, and wait for its end."""
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _child(msgspec.json.decode(line, type=Job))
                status = 0
            except BaseException:  # this process is another's copy, and must not go on as it would
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        # Its number belongs to nobody else while it may still be killed: until the next job is read.
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        _say("ended", ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)


if __name__ == "__main__":
    main()
