"""The bounds that the guide to deploying lists are those of the code."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec
import pytest

from statecast import Agent, Connections, Limits, Uploads
from tests.docs.pages import ROOT, code, load

GUIDE = load(ROOT / "docs" / "guides" / "deploying.md")
#: Of these, every bound is in the table; what is none is left out of it.
NO_BOUNDS = {
    "heartbeat_seconds",
    "resume_seconds",
    "state_frames",
    "send_bytes",
    "connections",
    "compress",
    "lease_seconds",
}


def defaults() -> dict[str, Any]:
    """Return every setting that bounds something, by its name, with its default."""
    found: dict[str, Any] = {}
    for kind in (Uploads, Limits, Connections):
        fields = {field.name: field.default for field in msgspec.structs.fields(kind)}
        found |= {f"{kind.__name__}.{name}": value for name, value in fields.items()}
    agent = inspect.signature(Agent).parameters
    return found | {"Agent.cancel_seconds": agent["cancel_seconds"].default}


def rows() -> list[tuple[str, list[str]]]:
    """Return what each row says of bounds, and which settings it names; one without a class is of the class before."""
    found: list[tuple[str, list[str]]] = []
    kind = ""
    for _, bound, setting in GUIDE.rows("Bounds"):
        names = []
        for name in code(setting):
            if name in ("Limits", "Connections", "Uploads", "Agent"):
                kind = name
            else:
                names.append(f"{kind}.{name}")
        found.append((bound, names))
    return found


def shown(name: str, value: Any) -> str:
    """Return a default as the table has it."""
    if value is None:
        return "no bound"
    if name.endswith(("_seconds", ".seconds")):
        return f"{value:,g} s"
    if value % 2**20 == 0:
        return f"{value // 2**20} MiB"
    return f"{value // 2**10} KiB" if value % 2**10 == 0 and "bytes" in name else f"{value:,}"


@pytest.mark.parametrize(("bound", "names"), rows())
def test_a_bound_is_the_default(bound: str, names: list[str]) -> None:
    for name in names:
        assert re.search(rf"(?<![\d,]){re.escape(shown(name, defaults()[name]))}(?!\d)", bound), (name, bound)


def test_every_limit_that_bounds_something_is_in_the_table() -> None:
    listed = {name for _, names in rows() for name in names}
    bounds = {name for name in defaults() if name.partition(".")[2] not in NO_BOUNDS}

    assert {name for name in bounds if not name.startswith("Uploads")} <= listed
