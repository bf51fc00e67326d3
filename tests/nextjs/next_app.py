"""`examples/nextjs/web`, built and served with the pinned packages of this folder.

Turbopack refuses packages behind symbolic links that leave the app's root. So an app is made in `apps/`, below the
`node_modules` of this folder, where Node.js looks for packages as well.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx

from statecast.http.npm_package import react_package
from tests.clients.installed import environment, missing
from tests.clients.node import need_node
from tests.clients.packages import Packages

__all__ = ["APP", "PACKAGES", "made_app", "next_build", "next_server"]

HERE = Path(__file__).parent
APP = HERE.parents[1] / "examples" / "nextjs" / "web"
PACKAGES = Packages(HERE, HERE)
BUILD_TIMEOUT = 600  # seconds: a slow machine that does much else
PATIENCE = 120  # seconds to start, and to stop
_READY = re.compile(r"Local:\s+(http://localhost:\d+).*Ready in", re.DOTALL)


@contextmanager
def made_app() -> Iterator[Path]:
    """Yield a copy of the app with its packages; the test is skipped where npm cannot install Next.js."""
    need_node()
    problem = PACKAGES.install()
    if problem:
        missing(f"needs Next.js: {problem}")
    apps = HERE / "apps"
    apps.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=apps))
    try:
        shutil.copytree(
            APP, folder, ignore=shutil.ignore_patterns("node_modules", ".next", "package-lock.json"), dirs_exist_ok=True
        )
        hook = folder / "node_modules" / "@statecast"
        with tarfile.open(fileobj=io.BytesIO(react_package()), mode="r:gz") as archive:
            archive.extractall(hook, filter="data")
        (hook / "package").rename(hook / "react")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def next_build(folder: Path, **variables: str) -> str:
    """Run `next build` with these environment variables; returns what it prints."""
    answer = subprocess.run(
        _command("build"),
        cwd=folder,
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
        check=False,
    )
    printed = answer.stdout + answer.stderr
    assert answer.returncode == 0, printed
    return printed


@contextmanager
def next_server(folder: Path, mode: Literal["start", "dev"], **variables: str) -> Iterator[str]:
    """Run `next start` or `next dev` on a free port; yields the address, where the page is ready to be served."""
    log = folder / f"{mode}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*_command(mode), "--port", "0"],
            cwd=folder,
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # `next dev` starts further processes
        )
    try:
        end = time.monotonic() + PATIENCE
        while (ready := _READY.search(log.read_text("utf-8"))) is None:
            waiting = process.poll() is None and time.monotonic() < end
            assert waiting, f"next {mode} did not start: {log.read_text('utf-8')}"
            time.sleep(0.05)  # a process that starts cannot be waited for in another way
        httpx.get(
            ready[1], timeout=BUILD_TIMEOUT
        ).raise_for_status()  # `next dev` builds the page for the first request
        yield ready[1]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def _command(name: str) -> list[str]:
    return [need_node(), str(PACKAGES.modules / "next" / "dist" / "bin" / "next"), name]


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {**environment(), "NEXT_TELEMETRY_DISABLED": "1", **variables}
