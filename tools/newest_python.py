"""Print the path of the newest Python for which the registry has wheels of everything that the tests need.

`.venv/bin/python tools/newest_python.py FOLDER`. It is this machine's, or else Debian's: its packages, and the C
library that they are built for, are unpacked into FOLDER and run from there. Nothing on the machine is changed. The
mirror is the one that apt uses here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from requirements import requirements

SUITES = ("sid", "testing", "stable")  #: where Debian's Pythons are looked for; the first that works is used
OLDEST = 11  #: the minor version that the tests run on anyway

LAUNCHER = """#!/bin/sh
# Start the Python in this folder with the C library beside it. `$0` is what Python calls itself: a link to this file in
# a virtual environment is that environment's Python.
exec "{loader}" --library-path "{libraries}" --argv0 "$0" "{program}" "$@"
"""


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: newest_python.py FOLDER")
    debians = Debians(Path(sys.argv[1]).resolve())
    here = dict(on_this_machine())
    for minor in sorted({*here, *debians.offered()}, reverse=True):
        if minor > OLDEST and has_wheels(minor):
            found = here.get(minor) or debians.unpack(minor)
            if found is not None:
                print(found)
                return
    raise SystemExit(f"expected a Python newer than 3.{OLDEST}, of this machine or of Debian's {', '.join(SUITES)}")


def on_this_machine() -> Iterator[tuple[int, Path]]:
    """Find the released Pythons on the path that can make virtual environments, by their minor version."""
    probe = "import sys, venv; sys.exit(sys.version_info.releaselevel != 'final')"
    for minor in range(OLDEST + 1, OLDEST + 40):
        program = shutil.which(f"python3.{minor}")
        if program and subprocess.run([program, "-c", probe], capture_output=True, check=False).returncode == 0:
            yield minor, Path(program)


def has_wheels(minor: int) -> bool:
    """Return whether everything that the tests need can be installed there without building it."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text("\n".join(requirements(["dev"])), encoding="utf-8")
        install = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--dry-run"]
        there = ["--ignore-installed", "--target", folder, "--python-version", f"3.{minor}", "--only-binary", ":all:"]
        done = subprocess.run([*install, *there, "-r", str(wanted)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        problem = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip())
        print(f"Python 3.{minor} has no wheels: {problem}", file=sys.stderr)
    return done.returncode == 0


class Debians:
    """Debian's Pythons, of its suites, for this machine's architecture.

    Args:
        folder: Where apt's lists, the packages and the unpacked files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._suites: dict[str, dict[int, str]] = {}  #: suite → minor version → package

    def offered(self) -> set[int]:
        """Return the minor versions that any suite has."""
        mirror = self._mirror() if shutil.which("apt-get") else None
        for suite in SUITES if mirror is not None else ():
            home = self._home(suite)
            for part in ("lists/partial", "archives/partial"):
                (home / part).mkdir(parents=True, exist_ok=True)
            (home / "status").touch()
            (home / "debian.list").write_text(f"deb {mirror} {suite} main\n", encoding="utf-8")
            if self._apt(suite, "apt-get", "update") is not None:
                names = (self._apt(suite, "apt-cache", "pkgnames", "python3.") or "").split()
                pythons = [name for name in names if re.fullmatch(r"python3\.\d+", name)]
                versions = (self._apt(suite, "apt-cache", "madison", *pythons) or "").splitlines() if pythons else []
                self._suites[suite] = dict(_released(versions))
        return {minor for packages in self._suites.values() for minor in packages}

    def unpack(self, minor: int) -> Path | None:
        """Return that Python, ready to run; None if no suite has one that works."""
        for suite, packages in self._suites.items():
            if minor in packages:
                found = self._unpack(suite, packages[minor])
                if found is not None:
                    return found
        return None

    def _unpack(self, suite: str, package: str) -> Path | None:
        home, root = self._home(suite), self._folder / f"{suite}-{package}"
        # Against an empty list of what is installed, that is the package with all it needs, down to the C library.
        more = [package, "libc6", "libstdc++6"]
        done = self._apt(suite, "apt-get", "install", "--download-only", "--yes", "--no-install-recommends", *more)
        if done is None:
            return None
        shutil.rmtree(root, ignore_errors=True)
        for archive in sorted((home / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
        program = root / "usr" / "bin" / package
        places = [root / name for name in ("lib64", "usr/lib64", "lib", "usr/lib")]
        loader = next((path.resolve() for place in places for path in sorted(place.glob("ld-linux*.so*"))), None)
        if loader is None or not program.exists():
            print(f"{suite}'s {package} has no program, or no loader", file=sys.stderr)
            return None
        real = program.rename(program.with_name(f"{package}.bin"))
        libraries = ":".join(str(path) for part in ("usr/lib", "lib") for path in root.glob(f"{part}/*-linux-gnu*"))
        program.write_text(LAUNCHER.format(loader=loader, libraries=libraries, program=real), encoding="utf-8")
        program.chmod(0o755)
        probe = [program, "-c", "import ctypes, sqlite3, ssl, venv"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"{suite}'s {package} does not run: {done.stderr.strip()}", file=sys.stderr)
            return None
        return program

    def _apt(self, suite: str, *command: str) -> str | None:
        """Run apt on lists of our own; returns what it wrote, or None if it failed."""
        home = self._home(suite)
        settings = {
            "Dir::Etc::SourceList": home / "debian.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::Etc::Preferences": "-",
            "Dir::Etc::PreferencesParts": "-",
            "Dir::State::Lists": home / "lists",
            "Dir::State::Status": home / "status",
            "Dir::State::Extended_States": home / "extended_states",
            "Dir::Cache": home,
            "Dir::Cache::Archives": home / "archives",
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "1",
        }
        options = [text for name, value in settings.items() for text in ("-o", f"{name}={value}")]
        line = [command[0], "-qq", *options, *command[1:]]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"{' '.join(command)} of {suite} failed: {done.stderr.strip()}", file=sys.stderr)
            return None
        return done.stdout

    def _home(self, suite: str) -> Path:
        return self._folder / suite

    def _mirror(self) -> str | None:
        """Return the URL from which apt gets Debian's packages here; None if it gets none."""
        targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
        for update in (False, True):  # a new machine has no lists yet, and does not know whose packages it gets
            if update:
                subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
            done = subprocess.run(targets, capture_output=True, text=True, check=False)
            if done.stdout.strip():
                return done.stdout.split()[0]
        return None


def _released(versions: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Find the released Pythons among lines of `package | version | origin`; test versions have a tilde in theirs."""
    for line in versions:
        package, version, _ = (field.strip() for field in line.split("|"))
        if "~" not in version.partition("-")[0]:
            yield int(package.removeprefix("python3.")), package


if __name__ == "__main__":
    main()
