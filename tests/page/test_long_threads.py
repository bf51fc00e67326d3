"""A thread with many messages and a large state: the page draws the latest, and stays quick."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from .demo_page import AGENT, PATIENCE, USER, Page, part

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}
MESSAGES = 1_000
ROWS = 5_000


def imported(url: str, state: Any) -> str:
    """Make a thread with a state, and return its id."""
    body = json.dumps({"statecast": 1, "state": state}).encode()
    request = urllib.request.Request(f"{url}threads/import", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        thread: str = json.load(response)["threadId"]
    return thread


def conversation(length: int) -> list[dict[str, Any]]:
    return [
        {"id": f"m{number}", "role": role, "parts": [{"type": "text", "text": f"The {role}'s message {number}."}]}
        for number in range(length)
        for role in ["assistant" if number % 2 else "user"]
    ]


def test_a_long_thread_shows_its_end_first_and_loses_none_of_it(open_page: Open, chromium: str, demo_url: str) -> None:
    rows = [{"name": f"row {number}", "words": number % 97} for number in range(ROWS)]
    thread = imported(demo_url, {"title": "Long", "messages": conversation(MESSAGES), "documents": rows})
    with open_page(thread=thread, viewport=WIDE) as page:
        page.wait(f"{AGENT} .text", text=f"message {MESSAGES - 1}.")
        shown = "() => document.querySelectorAll('[data-testid=message]').length"
        first = page.script(shown)
        assert first < MESSAGES / 4
        page.wait(f"{part('data-table')} summary", text="5,000 rows")
        # What the chat does not have the beginning of cannot be edited: that would drop all that is before.
        edits = "() => [...document.querySelectorAll('[data-role=user]')].map((one) => !!one.querySelector('%s'))"
        assert page.script(edits % part("message-edit"))[:2] == [False, True]
        page.click(part("earlier-messages"))
        page.watch(f"() => ({shown})() > {first} || null")
        page.edit(-1, "what is a cursor?")
        page.wait(f"{USER}:not([data-pending])", text="what is a cursor?")
        page.rest()
        messages = page.state()["messages"]
        assert [message["id"] for message in messages[: MESSAGES - 2]] == [
            f"m{number}" for number in range(MESSAGES - 2)
        ]
        assert len(messages) == MESSAGES
