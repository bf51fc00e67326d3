"""Servers in processes of their own, all on uvicorn with the same settings, and what they use of the machine.

`python -m benchmarks.serving ours` serves one until its input ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import uvicorn

from statecast.server import config_for

__all__ = ["Served"]

ROOT = Path(__file__).parents[1]


class Served:
    """A server in a process of its own, until the `with` block ends.

    Args:
        name: A module of `benchmarks.apps`.
        environment: Further environment variables.
    """

    def __init__(self, name: str, **environment: str) -> None:
        self.name = name
        self._environment = {**_environment(), **environment}

    def __enter__(self) -> Served:
        command = [sys.executable, "-m", "benchmarks.serving", self.name]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        self.port = int(self.line("port"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def line(self, word: str) -> str:
        """Wait for a line of output that starts with `word`, and return the rest of it."""
        output: IO[str] | None = self._process.stdout
        assert output is not None, "it is a pipe"
        for line in output:
            first, _, rest = line.strip().partition(" ")
            if first == word:
                return rest
        raise RuntimeError(
            f'the server "{self.name}" ended without a word; run python -m benchmarks.serving {self.name}'
        )

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        clock = Path(f"/proc/{self._process.pid}/schedstat")
        if clock.exists():  # nanoseconds, where psutil has hundredths of a second
            return int(clock.read_text().split()[0]) / 1e9
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Return the bytes of memory it holds."""
        pages = Path(f"/proc/{self._process.pid}/statm")
        if pages.exists():
            return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return int(self._usage.memory_info().rss)

    @cached_property
    def _usage(self) -> Any:
        import psutil  # for what /proc does not say, or a system without it

        return psutil.Process(self._process.pid)


def _environment() -> dict[str, str]:
    # The same source as this process, wherever it was found.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(ROOT) for path in sys.path)}


def main() -> None:
    app = import_module(f"benchmarks.apps.{sys.argv[1]}").app
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = uvicorn.Server(config_for(app, log_level="error"))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    print(f"port {listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
