"""Each adapter is driven through every case that its framework can do, and the documentation says which those are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frameworks.conformance import CASES
from tests.frameworks.published import PAGE, RIGS, with_tables
from tests.frameworks.stage import Rig, Stage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, marks=pytest.mark.slow if CASES[case].slow else ())
        for name, rig in RIGS.items()
        for case in CASES
        if case not in rig.GAPS
    ],
)
async def test_an_adapter_does(name: str, case: str, tmp_path: Path) -> None:
    await CASES[case].play(Stage(RIGS[name], tmp_path))


@pytest.mark.parametrize("rig", RIGS.values(), ids=list(RIGS))
def test_gaps_are_cases_with_reasons(rig: Rig) -> None:
    assert rig.GAPS.keys() <= CASES.keys()
    assert all(reason.endswith(".") for reason in rig.GAPS.values())


def test_the_documentation_publishes_what_the_tests_drive() -> None:
    page = PAGE.read_text("utf-8")

    assert page == with_tables(page), "run `python -m tests.frameworks.published`"
