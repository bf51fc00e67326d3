"""What `docs/frameworks.md` publishes of the conformance tests. `python -m tests.frameworks.published` writes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from tests.frameworks.conformance import CASES
from tests.frameworks.stage import Rig

__all__ = ["PAGE", "RIGS", "published", "with_tables"]

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
BEGIN, END = "<!-- made from the tests: begin -->\n", "<!-- made from the tests: end -->\n"

RIGS: dict[str, Rig] = {
    path.stem: cast(Rig, importlib.import_module(f"tests.frameworks.rigs.{path.stem}"))
    for path in sorted(Path(__file__).with_name("rigs").glob("*.py"))
}


def published() -> str:
    """Return the table of what works, and the reasons why the rest does not."""
    rigs = RIGS.values()
    lines = [
        f"| | {' | '.join(rig.TITLE for rig in rigs)} |",
        f"|---|{'---|' * len(RIGS)}",
        *(
            f"| {case.title} | {' | '.join('–' if name in rig.GAPS else '✓' for rig in rigs)} |"
            for name, case in CASES.items()
        ),
    ]
    reasons: dict[tuple[str, str], list[str]] = {}
    for rig in rigs:
        for name, reason in rig.GAPS.items():
            reasons.setdefault((rig.TITLE, reason), []).append(CASES[name].title)
    if reasons:
        lines += ["", "Why a cell is empty:", ""]
        lines += [f"- {title}: *{'*; *'.join(cases)}*. {reason}" for (title, reason), cases in reasons.items()]
    return "\n".join(lines) + "\n"


def with_tables(page: str) -> str:
    """Return the page with what is published now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{published()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
