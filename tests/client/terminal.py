"""The command line as its users see it: processes on pipes, and on terminals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds until a fact that does not come fails its test

_COMMAND = [sys.executable, "-c", "import sys; from statecast.cli import main; sys.exit(main())"]
_ENVIRONMENT = {
    **{
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    },
    "PYTHONPATH": os.pathsep.join([str(ROOT / "agents"), str(ROOT / "transport"), str(ROOT)]),
    "TERM": "xterm-256color",
}
_HOME = b"\x1b[H"  # a drawing begins in the first cell


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command on pipes."""
    pipe, variables = subprocess.PIPE, {**_ENVIRONMENT, **environment}
    return subprocess.Popen([*_COMMAND, *arguments], env=variables, stdout=pipe, stderr=pipe, text=True)


def ran(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end; return its status, and what it wrote."""
    with started(*arguments, **environment) as process:
        out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command on pipes; it is stopped afterwards, if it still runs."""
    with started(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE)


def out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@contextlib.contextmanager
def served(folder: Path, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve the agent of these tests, with a store in `folder`; yield the URL and the process."""
    store = f"sqlite:///{folder / 'threads.db'}"
    with running("serve", "tests.client.agents:agent", "--store", store, "--port", str(port)) as process:
        line = out(process).readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, (line, process.communicate(timeout=PATIENCE))
        yield found[0], process


class Terminal:
    """A command on a terminal."""

    def __init__(self, *arguments: str, width: int = 80, height: int = 24, **environment: str) -> None:
        self.written = b""
        self._screen, inside = pty.openpty()
        self.resize(width, height)
        self.process = subprocess.Popen(
            [*_COMMAND, *arguments],
            env={**_ENVIRONMENT, **environment},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._screen)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self._height = height
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)

    def until(self, fact: Callable[[], object]) -> None:
        """Read until a fact is there."""
        deadline = time.monotonic() + PATIENCE
        while not fact():
            assert time.monotonic() < deadline, self.written.decode(errors="replace")
            assert self.read(), self.written.decode(errors="replace")

    def end(self) -> int:
        """Read to the end; return the exit status."""
        while self.read():
            pass
        return self.process.wait(PATIENCE)

    def read(self) -> bool:
        """Read what there is; tells whether there may be more."""
        ready, _, _ = select.select([self._screen], [], [], PATIENCE)
        assert ready, self.written.decode(errors="replace")
        try:
            piece = os.read(self._screen, 65_536)
        except OSError:  # the other end is closed
            return False
        self.written += piece
        return bool(piece)

    @property
    def drawing(self) -> str:
        """What was drawn last, with its styles."""
        drawings = [drawing for drawing in self.written.split(_HOME)[1:] if drawing.count(b"\r\n") == self._height - 1]
        return drawings[-1].decode() if drawings else ""

    @property
    def rows(self) -> list[str]:
        """The rows that were drawn last, without styles, and without those at the end that are empty."""
        return "\n".join(row.rstrip() for row in plain(self.drawing).split("\r\n")).rstrip("\n").split("\n")

    @property
    def changed(self) -> str:
        """What is highlighted."""
        return "".join(re.findall(r"\x1b\[1;7(?:;33)?m(.*?)\x1b\[0m", self.drawing))


def plain(text: str) -> str:
    """Return a text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
