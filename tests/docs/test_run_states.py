"""The states of a run: docs/protocol/terms.md draws the table that the engine keeps to."""

from __future__ import annotations

import re
from pathlib import Path

from statecast.protocol.entries import ENDED
from statecast.threads.runs.lifecycle import TRANSITIONS

TERMS = Path(__file__).parents[2] / "docs" / "protocol" / "terms.md"


def drawn() -> str:
    """Return the diagram of the table: what leads out of every status under way is drawn once."""
    under_way = {status: after for status, after in TRANSITIONS.items() if status not in ENDED}
    first, *others = under_way.values()
    shared = {status: why for status, why in first.items() if all(after.get(status) == why for after in others)}
    lines = ["stateDiagram-v2", '    state "under way" as live {', "        [*] --> queued"]
    for status, after in under_way.items():
        lines += [f"        {status} --> {other}: {why}" for other, why in after.items() if other not in shared]
    lines += ["    }", *(f"    live --> {status}: {why}" for status, why in shared.items())]
    return "\n".join(lines)


def test_the_diagram_of_a_run_is_the_table() -> None:
    diagram = re.search(r"```mermaid\n(stateDiagram-v2\n.*?)\n```", TERMS.read_text(encoding="utf-8"), re.DOTALL)

    assert diagram is not None
    assert diagram[1] == drawn(), f"expected this diagram in docs/protocol/terms.md:\n{drawn()}"
