"""What an agent suggests the user to say first."""

from __future__ import annotations

from typing import Any

import pytest

from statecast import Agent


@pytest.mark.parametrize(
    ("suggestions", "hints"),
    [
        ((), {}),
        (["Plan a trip", "Fail"], {"Plan a trip": "", "Fail": ""}),
        ({"Plan a trip": "Watch the table"}, {"Plan a trip": "Watch the table"}),
    ],
)
def test_suggestions_are_texts_with_or_without_hints(suggestions: Any, hints: dict[str, str]) -> None:
    assert Agent(suggestions=suggestions).suggestions == hints


@pytest.mark.parametrize("suggestions", ["Plan a trip", [5], {"Plan": 5}, {5: "Plan"}, None], ids=str)
def test_other_suggestions_are_refused(suggestions: Any) -> None:
    with pytest.raises(TypeError, match="expected suggestions to be"):
        Agent(suggestions=suggestions)
