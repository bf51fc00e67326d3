"""Whatever agents, clients, files and signals do to a server, it harms nobody else: see `tests.stories.story`.

STATECAST_ROUGH_STORIES is how many stories are told; `python -m tests.stories` tells more of them. This is slow: only
a process of its own can be killed, weighed, and left by an agent that exits.
"""

from __future__ import annotations

import pytest

from tests.chaos.crowd import seeded
from tests.counts import count
from tests.stories.acts import ACTS
from tests.stories.agent_deeds import DEEDS, SYNC_DEEDS
from tests.stories.book import faults
from tests.stories.storyteller import tell

STORIES = count("ROUGH_STORIES", 12, long=24)


@pytest.mark.anyio
async def test_whatever_happens_nobody_else_is_harmed() -> None:
    seed, _ = seeded("stories")
    await tell(seed, 0, STORIES)


def test_every_act_and_deed_has_a_name_of_its_own() -> None:
    assert len({act.__name__ for act in ACTS}) == len(set(ACTS))
    assert len({*DEEDS, *SYNC_DEEDS}) == len(DEEDS) + len(SYNC_DEEDS)


@pytest.mark.parametrize(
    ("log", "fine"),
    [
        ("", True),
        ("WARNING: the store works again\n", True),
        ("ERROR: run r on thread t failed\nTraceback (most recent call last):\n  File\nValueError: one\n", True),
        (
            (
                "ERROR: the hook for title failed on thread t\n"
                "Traceback (most recent call last):\n  File\nKeyError: 1\n\n"
                "During handling of the above exception, another exception occurred:\n\n"
                "Traceback (most recent call last):\n  File\nSystemExit: 1\n"
            ),
            True,
        ),
        ("ERROR:    Exception in ASGI application\n", False),
        ("Task exception was never retrieved\n", False),
        ("something else\nTraceback (most recent call last):\n  File\nValueError: one\n", False),
    ],
)
def test_a_log_has_no_lines_that_only_a_fault_explains(log: str, fine: bool) -> None:
    assert (not faults(log)) == fine
