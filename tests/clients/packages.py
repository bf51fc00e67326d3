"""The npm packages of the tests, in two sets: the pinned ones, and the newest that the registry serves.

STATECAST_CLIENTS=newest selects the second set. It is installed without a lockfile in `newest/`, with copies of the
drivers, because Node.js looks for packages in the folder of the script. `python -m tests.clients.packages` installs the
selected set and prints its versions, or why it cannot be installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLIENTS", "DRIVERS", "FRAMEWORKS", "PAGE", "Packages", "environment"]

HERE = Path(__file__).parent
INSTALL_TIMEOUT = 600  # seconds: an empty cache and a slow network
SETS = ("pinned", "newest")
SELECTED = os.environ.get("STATECAST_CLIENTS") or "pinned"

#: Dependencies that some newest client asks for in a version that the registry does not serve, and what is installed
#: instead. Used only while npm cannot install the set without them; `newest/` then says so in its output.
STAND_INS = {
    "@assistant-ui/react-generative-ui": "0.0.16",  # @assistant-ui/react-ag-ui 0.0.58 asks for ^0.0.17
}


@dataclass(frozen=True)
class Packages:
    """The packages that a `package.json` names, as one of the two sets.

    The newest set takes the latest version of each of its `dependencies`, but for aliases, which name an old version on
    purpose. `devDependencies` are the tools of the tests and stay pinned.
    """

    source: Path  #: the folder of the package.json, and of the lockfile of the pinned set
    folder: Path  #: the folder of node_modules

    @property
    def modules(self) -> Path:
        return self.folder / "node_modules"

    @property
    def newest(self) -> bool:
        return self.folder != self.source

    def install(self) -> str:
        """Install the packages unless they are there; return what went wrong, or an empty text."""
        with self._alone():
            if self._installed():
                return ""
            if shutil.which("npm") is None:
                return f"needs npm to install the clients in {self.folder}: it comes with Node.js, or as a package"
            problem = self._install_newest() if self.newest else self._npm("ci")
            if not problem:
                self._mark.touch()
            return problem

    def version(self, name: str) -> tuple[int, ...]:
        """Return the installed version of a package, as numbers that can be compared."""
        text: str = json.loads((self.modules / name / "package.json").read_text("utf-8"))["version"]
        return tuple(map(int, text.split("-")[0].split(".")))

    @property
    def _mark(self) -> Path:
        """Return the lockfile that npm writes last into node_modules."""
        return self.modules / ".package-lock.json"

    def _installed(self) -> bool:
        wanted = self.source / ("package.json" if self.newest else "package-lock.json")
        return self._mark.exists() and self._mark.stat().st_mtime >= wanted.stat().st_mtime

    def _install_newest(self) -> str:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        problem = self._npm_install({})
        if not problem or not any(name in problem for name in STAND_INS):
            return problem
        print(f"The newest clients need stand-ins for what the registry does not serve: {STAND_INS}", file=sys.stderr)
        return self._npm_install(STAND_INS)

    def _npm_install(self, overrides: dict[str, str]) -> str:
        package = json.loads((self.source / "package.json").read_text("utf-8"))
        named: dict[str, str] = package["dependencies"]
        latest = {name: version if version.startswith("npm:") else "latest" for name, version in named.items()}
        written = {**package, "dependencies": latest, "overrides": overrides}
        (self.folder / "package.json").write_text(json.dumps(written, indent=2), "utf-8")
        return self._npm("install", "--no-package-lock", "--prefer-online")

    def _npm(self, *arguments: str) -> str:
        command = ["npm", *arguments, "--no-audit", "--no-fund", "--loglevel=error"]
        shown = f"`{' '.join(command)}` in {self.folder}"
        try:
            answer = subprocess.run(
                command,
                cwd=self.folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{shown} took longer than {INSTALL_TIMEOUT} s: run it by hand"
        return f"{shown} failed: run it by hand. It said: {answer.stderr.strip()[-500:]}" if answer.returncode else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other test processes of this checkout out; npm empties node_modules before it fills it."""
        name = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]
        with open(Path(tempfile.gettempdir()) / f"statecast-npm-{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def environment() -> dict[str, str]:
    """Return our environment without what would change how the clients behave."""
    return {name: value for name, value in os.environ.items() if name not in {"NODE_ENV", "NODE_OPTIONS"}}


def _packages(source: Path, name: str) -> Packages:
    if SELECTED not in SETS:
        raise ValueError(f"STATECAST_CLIENTS: expected one of {SETS}, got {SELECTED!r}")
    return Packages(source, source if SELECTED == "pinned" else HERE / "newest" / name)


CLIENTS = _packages(HERE, "clients")
PAGE = _packages(HERE.parents[1] / "page", "page")  #: what pages are built with
#: What the pages in `examples/` are built with that use another framework than React, by its name.
FRAMEWORKS = {name: _packages(HERE.parents[1] / "examples" / name, name) for name in ("vue", "svelte")}
DRIVERS = CLIENTS.folder  #: where the drivers run; see `place_drivers`


def place_drivers() -> None:
    """Copy the drivers to the packages, where those are not beside them."""
    if not CLIENTS.newest:
        return
    for driver in HERE.glob("*.mjs"):
        placed = DRIVERS / driver.name
        if not placed.exists() or placed.read_bytes() != driver.read_bytes():
            unfinished = placed.with_suffix(f".{os.getpid()}")
            shutil.copyfile(driver, unfinished)
            unfinished.replace(placed)  # whole at any time: another process may start it now


def main() -> int:
    """Install the selected set; return the exit status."""
    for packages in (CLIENTS, PAGE, *FRAMEWORKS.values()):
        problem = packages.install()
        if problem:
            print(f"The {SELECTED} clients cannot be installed: {problem}", file=sys.stderr)
            return 1
        names = sorted(json.loads((packages.source / "package.json").read_text("utf-8"))["dependencies"])
        versions = [f"{name} {'.'.join(map(str, packages.version(name)))}" for name in names]
        print(f"The {SELECTED} packages of {packages.source.name}/: {', '.join(versions)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
