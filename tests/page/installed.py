"""The packages that pages are built with: those of the demo page, or the newest of them, and `@statecast/react`."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from statecast.http.npm_package import react_package
from tests.clients.installed import missing
from tests.clients.node import need_node
from tests.clients.packages import PAGE

__all__ = ["install_packages", "page_packages"]


def page_packages() -> Path:
    """Return the folder of the packages, installed; the test is skipped where they cannot be had."""
    need_node()
    problem = PAGE.install()
    if problem:
        missing(problem)
    return PAGE.modules


def install_packages(folder: Path) -> None:
    """Give a page's folder its `node_modules`: the packages of pages, and `@statecast/react` as a server serves it."""
    packages, installed = page_packages(), folder / "node_modules"
    installed.mkdir(parents=True)
    for package in packages.iterdir():
        (installed / package.name).symlink_to(package)
    with tarfile.open(fileobj=io.BytesIO(react_package()), mode="r:gz") as archive:
        archive.extractall(installed / "@statecast", filter="data")
    (installed / "@statecast" / "package").rename(installed / "@statecast" / "react")
