"""One thread, one run, and a client of each kind at once: whoever starts it, all of them end with the same messages."""

from __future__ import annotations

from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest

from tests.clients.chat import state_of
from tests.clients.conversing_agent import held
from tests.clients.frontends import FRONTENDS, Frontend
from tests.clients.scenes import Gates

CITY = {"city": "Bonn"}


def run_of(url: str, thread_id: str) -> tuple[str, str]:
    """Return which run the thread has, and what became of it."""
    status = httpx.get(f"{url}/status/{thread_id}").json()
    return status["runId"], status["status"]


@pytest.mark.parametrize("starting", FRONTENDS, ids=lambda kind: kind.__name__)
def test_a_run_that_one_client_starts_all_others_follow(url: str, gates: Gates, starting: type[Frontend]) -> None:
    thread_id = f"thread-{uuid4().hex[:12]}"
    with ExitStack() as stack:
        first, *others = [
            kind(url, thread_id, stack) for kind in sorted(FRONTENDS, key=lambda kind: kind is not starting)
        ]
        first.start("mixed")
        first.until("Let me look.")
        for other in others:
            other.join()
            other.until("Let me look.")
        run_id, status = run_of(url, thread_id)
        gates[f"{thread_id}/half"].set()
        shown = [(client, client.end()) for client in (first, *others)]

    assert (status, run_of(url, thread_id)) == ("running", (run_id, "completed"))
    said = held(state_of(url, thread_id))
    assert said == [
        ("user", [("text", "mixed")]),
        (
            "assistant",
            [
                ("text", "Let me look."),
                ("reasoning", "It may rain."),
                ("tool-call", "weather", CITY, {"degrees": 12.5, "sky": None}, False),
                ("reasoning", "It does not."),
                ("tool-call", "count", {}, "out of numbers", True),
                ("text", "It is 12."),
            ],
        ),
    ]
    for client, what in shown:
        assert what == client.carried(said), type(client).__name__
