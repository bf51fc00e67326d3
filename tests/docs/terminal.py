"""A terminal that follows the shell snippets of a page, as a reader would.

It understands the commands that the documentation uses, and no other. Servers are started for real, on a free port in
place of 8000; `curl` runs for real, against the server that was started last. Package installations and npm's commands
are checked against what is declared, and `make` against the Makefile.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import IO

import pytest

from tests.clients.versions import RECENT
from tests.docs.pages import ROOT

PATIENCE = 60  # seconds to start, and to stop
PORT = "8000"  # the one in the documentation
QUIET = 1  # seconds of silence after which a reader has seen what a stream without end says

_CLI = [sys.executable, "-c", "from statecast.cli import main; raise SystemExit(main())"]


class Terminal:
    """Follows commands in a folder; a context manager, which stops what still runs."""

    def __init__(self, folder: Path) -> None:
        self.here = folder  #: where it is now
        self._port = PORT
        self._server: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def reachable(self, text: str) -> str:
        """Return a text with the port of the documentation replaced by the one of the server."""
        return text.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{self._port}")

    def follow(self, script: str) -> str:
        """Do what a shell snippet says, and return what its commands print."""
        return "".join(map(self._do, _commands(script)))

    def _do(self, words: list[str]) -> str:
        match words:
            case ["make", target, *_]:
                assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
            case ["mkdir", name]:
                (self.here / name).mkdir()
            case ["cd", name]:
                self.here = (self.here / name).resolve()
                # `npm create` is not run: it is the reader's network.
                self.here.mkdir(exist_ok=True)
            case ["python3", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"]:
                pass
            case ["pip", "install", "-e", "." | "path/to/checkout"]:
                assert (ROOT / "pyproject.toml").is_file()
            case ["pip", "install", "-e", checkout] if checkout.startswith("path/to/checkout["):
                project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
                extras = set(checkout.removeprefix("path/to/checkout[").removesuffix("]").split(","))
                assert extras <= project["optional-dependencies"].keys()
            case ["npm", *rest]:
                self._npm(rest)
            case ["statecast", "send" | "watch", *_]:
                return self._ask(words[1:])
            case ["statecast", "types", target, ">", file]:
                (self.here / file).write_text(self._cli(["types", target]), encoding="utf-8")
            case ["statecast", *rest]:
                self._serve(rest)
            case ["curl", *rest]:
                return self._curl(rest)
            case _:
                pytest.fail(f"expected a command that the tests follow, got {shlex.join(words)}")
        return ""

    def _npm(self, words: list[str]) -> None:
        pinned = json.loads((ROOT / "page" / "package.json").read_text(encoding="utf-8"))
        match words:
            case ["create", "vite@latest", "page", "--", "--template", "react-ts"] | ["install"]:
                pass
            case ["install", *packages]:
                clients = json.loads((ROOT / "tests" / "clients" / "package.json").read_text(encoding="utf-8"))
                declared = (clients["dependencies"] | pinned["dependencies"]).items()
                known = {each.removeprefix("npm:") if ":" in each else f"{name}@{each}" for name, each in declared}
                assert set(packages) <= known | RECENT
            case ["run", script]:
                own = self.here / "package.json"
                scripts = json.loads(own.read_text())["scripts"] if own.exists() else pinned["scripts"]
                assert script in scripts
                if script == "build":  # for real in test_page.py
                    (self.here / "dist").mkdir()
                    (self.here / "dist" / "index.html").write_text("built")
            case _:
                pytest.fail(f"expected a command that the tests follow, got npm {shlex.join(words)}")

    def _serve(self, words: list[str]) -> None:
        self._stop()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the server
        self._server = subprocess.Popen(
            [*_CLI, *words, "--port", self._port],
            cwd=self.here,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line.startswith("Statecast serves"), f"{shlex.join(words)} said {line!r}: {self._said()}"
        # It says so just before it listens.
        url = f"http://127.0.0.1:{self._port}/health"
        self._curl(["--retry", "50", "--retry-delay", "0", "--retry-connrefused", url])

    def _ask(self, words: list[str]) -> str:
        return self._cli([words[0], "--url", f"http://127.0.0.1:{self._port}", *words[1:]])

    def _cli(self, words: list[str]) -> str:
        answer = subprocess.run(
            [*_CLI, *words],
            cwd=self.here,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def _curl(self, words: list[str]) -> str:
        curl = shutil.which("curl")
        if curl is None:
            missing = pytest.fail if os.environ.get("STATECAST_TEST_ALL") == "1" else pytest.skip
            missing("needs curl: install it from your distribution")
        words = [self.reachable(word) for word in words]
        command = [curl, "--silent", "--show-error", "--noproxy", "*", *words]
        if any("/events" in word for word in words):
            return _looked_at([*command, "--no-buffer"])
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def _said(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read()

    def _stop(self) -> None:
        if self._server is None or self._log is None:
            return
        self._server.terminate()
        self._server.communicate(timeout=PATIENCE)
        said = self._said()
        self._log.close()
        self._server = self._log = None
        assert "Traceback" not in said, said


def _looked_at(command: list[str]) -> str:
    """Return what a command without end prints until it is quiet; the reader stops it by hand."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = b""
        while select.select([process.stdout], [], [], QUIET if printed else PATIENCE)[0]:
            piece = os.read(process.stdout.fileno(), 65_536)
            assert piece, f"{shlex.join(command)} ended by itself: {printed!r}"
            printed += piece
        process.terminate()
    return printed.decode()


def _commands(script: str) -> list[list[str]]:
    """Return the words of each command: one a line, unless a quote is open at its end."""
    commands = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            continue
        text = ""
        if words:
            commands.append(words)
    assert not text, f"expected a complete command, got {text}"
    return commands


def same_but_ids(text: str) -> str:
    """Return a text with every made-up id, cursor and time replaced by what the documentation writes there."""
    text = re.sub(r"(msg|run|call|proc|thr|src)_[0-9a-f]{20}", r"\1_…", text)
    text = re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', '"…"', text)
    text = re.sub(r'("at|At)":\d{13}', r'\1":…', text)
    text = re.sub(r'"nextCursor":"[^"]+"', '"nextCursor":"…"', text)
    text = re.sub(r'"[0-9a-f]{12}-(\d+)"', r'"…-\1"', text)
    return re.sub(r"^id: [0-9a-f]{12}-(\d+)$", r"id: …-\1", text, flags=re.MULTILINE)
