"""A script of this folder in Node.js, which is asked line by line."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from typing import IO, Any, TypeAlias

from .installed import DRIVERS, environment, need_node

__all__ = ["Driver", "Json"]

Json: TypeAlias = Any

TIMEOUT = 180  # seconds for one answer; a driver's steps have their own, shorter ones


class Driver:
    """A process that answers a line with a line. It is killed when it is silent for `timeout` seconds."""

    def __init__(self, script: str) -> None:
        self.timeout: float = TIMEOUT
        self._said = ""  # on its standard error, known once it has ended
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [need_node(), script],
            cwd=DRIVERS,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
        )

    def tell(self, value: Json) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value, allow_nan=False) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended: what it said last is still there to read.

    def hear(self) -> Json:
        assert self._process.stdout is not None
        watchdog = threading.Timer(self.timeout, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
            watchdog.join()
        if not line.endswith("\n"):
            self.close()
            raise RuntimeError(f"{self._process.args!r} said no more within {self.timeout} s: {self._said}")
        return json.loads(line)

    def end_input(self) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            self._process.stdin = None

    def close(self) -> None:
        """End the process, reading what it still has to say; it is killed if it does not end by itself."""
        if self._log.closed:
            return
        self.end_input()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._log.seek(0)
        self._said = self._log.read().decode(errors="replace")[-5000:]
        self._log.close()
