"""`Writers`: the processes that have the files of stores open, for all workers."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
from collections.abc import Mapping
from typing import Final

from statecast.stores.writer import Settings, command

from .backoff import Backoff
from .process import Process

__all__ = ["Writers"]

#: Seconds that a writer may take to bring everything into its file.
CLOSING: Final = 60.0

_log: Final = logging.getLogger("statecast")


class Writers:
    """The writers of one server, by file.

    Args:
        logs: The options of their `set_up_logging`.
    """

    def __init__(self, logs: Mapping[str, str]) -> None:
        self._logs = logs
        self._writers: dict[str, _Writer] = {}

    async def at(self, path: str, *, durable: bool) -> tuple[str, str]:
        """Return the path of the socket of a file's writer, or else why there is none.

        Args:
            path: The file, without links.
            durable: Whether a commit waits for the disk.
        """
        writer = self._writers.get(path)
        if writer is None:
            try:
                writer = self._writers[path] = _Writer(path, durable=durable, logs=self._logs)
            except OSError as error:
                return "", f"the process that writes {path} needs a socket in {tempfile.gettempdir()} (TMPDIR): {error}"
        problem = await writer.problem()
        if problem and self._writers.get(path) is writer:
            del self._writers[path]
            await writer.aclose()
        return writer.socket, problem

    async def aclose(self) -> None:
        """End them; nobody needs them any more."""
        await asyncio.gather(*(writer.aclose() for writer in self._writers.values()))


class _Writer:
    """A writer. Its socket is in a folder that only its user may enter, in that for temporary files.

    It is not beside the store's file: a socket's path may have some hundred characters only, and not every file system
    has sockets.
    """

    def __init__(self, path: str, *, durable: bool, logs: Mapping[str, str]) -> None:
        self._path = path
        self._durable = durable
        self._logs = logs
        self._folder = tempfile.mkdtemp(prefix="statecast-")
        self.socket = f"{self._folder}/writer"
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            self._listening.bind(self.socket)
        except OSError:
            self._remove()
            raise
        self._listening.listen()
        self._process: Process | None = None
        self._first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keeping = asyncio.create_task(self._keep())

    async def problem(self) -> str:
        """Return why the file could not be opened; an empty text if it could."""
        return await asyncio.shield(self._first)

    async def aclose(self) -> None:
        """End it."""
        self._keeping.cancel()
        await asyncio.wait({self._keeping})
        if self._process is not None:
            await self._process.stop(CLOSING)
        self._remove()

    def _remove(self) -> None:
        self._listening.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self) -> None:
        backoff = Backoff()
        start = 0
        while True:
            try:
                process = self._process = await self._started(start)
            except OSError as error:
                problem = f"the process that writes {self._path} could not be started: {error}"
                if self._first.done():
                    _log.error(problem)
                else:
                    self._first.set_result(problem)
                await backoff.wait()
                continue
            start += 1
            said = (await process.reader.readline()).decode()
            if not self._first.done():
                self._first.set_result(said.strip() or ("" if said else f"the writer of {self._path} could not start"))
            if said == "\n":
                _log.info("process %d writes %s", process.pid, self._path)
            status = await process.ended()
            process.close()
            self._process = None
            _log.error("process %d, which writes %s, ended with status %d", process.pid, self._path, status)
            await backoff.wait()

    async def _started(self, start: int) -> Process:
        listening = self._listening.fileno()
        return await Process.start(
            lambda control: command(Settings(self._path, self._durable, start, listening, control, self._logs)),
            passed=[listening],
        )
