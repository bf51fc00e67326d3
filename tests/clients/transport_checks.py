"""What scenarios with the hook have in common: its settings, and what holds at the end of each."""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx

from tests.clients.node import Json, Protocol, TransportReport

PATIENCE = 60  # seconds for what another thread is about to do
IDLE = {"do": "wait", "for": "idle"}


def settings(url: str, protocol: Protocol, **more: Json) -> dict[str, Json]:
    """Return what the hook is given."""
    api = f"{url}/assistant?protocol={protocol}"
    return {"api": api, "protocol": protocol, "initialState": {}, **more}


def check(report: TransportReport, url: str, *, errors: Sequence[str] = ()) -> None:
    """Check what holds in every scenario: no complaints, no errors but these, and the server's state."""
    assert report.complaints == []
    assert [error["message"] for error in report.errors] == list(errors)
    assert plain(report.final_state) == plain(server_side(report, url)["state"])


def server_side(report: TransportReport, url: str) -> Json:
    """Return what the server knows of the thread that the client spoke of last."""
    spoken = [response["headers"].get("statecast-thread-id") for response in report.responses]
    answer = httpx.get(f"{url}/threads/{[name for name in spoken if name][-1]}/state")
    assert answer.status_code == 200, answer.text
    return answer.json()


def plain(value: Json) -> str:
    """Return JSON text that is equal for equal values; in Python `1 == True`."""
    return json.dumps(value, sort_keys=True)


def said(state: Json) -> list[tuple[str, Json]]:
    """Return who said what: text where a part is text, else the part."""
    return [
        (message["role"], part["text"] if part["type"] == "text" else part)
        for message in state["messages"]
        for part in message["parts"]
    ]
