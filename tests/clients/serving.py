"""Serve on a free port of this machine, for clients that need a real socket: an app, or the command line."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from statecast import App
from statecast.server import Server, config_for

PATIENCE = 60  # seconds to start, and to stop


class _Server(Server):
    """Says when it is ready, instead of being asked again and again."""

    def __init__(self, app: Any) -> None:
        super().__init__(config_for(app, log_level="warning"), app if isinstance(app, App) else None, grace=0)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.settled.set()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Yield the base URL of `app`, like `http://127.0.0.1:51234`; stop it, and what still runs, afterwards."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(app)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            server.settled.set()

    thread = threading.Thread(target=run, name="served")
    thread.start()
    try:
        assert server.settled.wait(PATIENCE), f"the server did not start within {PATIENCE} s"
        assert server.started, "the server did not start; see its log"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive(), f"the server did not stop within {PATIENCE} s"


class Restarting:
    """A `statecast` process that may be ended and started again, on the same port: a context manager.

    Args:
        arguments: Of the command line; `--port` is added.
        folder: Where it runs. Modules there can be imported, and its log is there.
    """

    def __init__(self, *arguments: str, folder: Path) -> None:
        command = shutil.which("statecast", path=sysconfig.get_path("scripts")) or shutil.which("statecast")
        assert command, "expected the command `statecast`: install the project, for example with `pip install -e .`"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = [command, *arguments, "--port", str(port)]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Restarting:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(os.environ)
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=PATIENCE).close()
                return
            except urllib.error.URLError:
                waiting = self._process.poll() is None and time.monotonic() < end
                assert waiting, f"the server did not start: {log.read_text()}"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, grace: float = PATIENCE) -> int | None:
        """Ask it to end, wait until it has, and return its exit status; killed after `grace` seconds."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode
