"""A client that goes on with an answer is told what it lacks of it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statecast.protocol import MESSAGE_PROTOCOLS, ChunkEntry, OperationsEntry, RunEntry, RunState
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.projection import Projection
from statecast_agents import Document, Json, chunks
from tests.transport.answering_agent import RUN
from tests.transport.projections import TEXT, chunks_of, deltas, types


def going_on(client_copy: ClientCopy, parts: list[Json], *later: Callable[[Document], object]) -> list[dict[str, Any]]:
    """Return what a client is told that goes on where the thread has `parts`, and what comes later."""
    document = Document({"messages": [{"id": "m", "role": "assistant", "parts": parts}]})
    document.flush()
    encoder = MESSAGE_PROTOCOLS["ui-message-stream"](Projection(["messages"], run_id=RUN, client_copy=client_copy))
    body = encoder.snapshot(document.encode(), 1, [RunEntry(1, RunState(RUN, "running"))])
    for change in later:
        change(document)
        body += encoder.encode(OperationsEntry(2, document.flush().operations))
    body += encoder.encode(RunEntry(3, RunState(RUN, "completed")))
    return chunks_of(body + encoder.finish())


CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "look", "args": {}, "argsText": "{}"}
DATA = {"type": "data", "name": "d", "data": 1}
FILE = {"type": "file", "data": "aGk=", "mimeType": "image/png"}
SOURCE = {"type": "source", "sourceType": "url", "id": "s", "url": "u"}

#: What the client has; what the thread has; what it is told.
HAS: list[tuple[str, list[Json], list[Json], list[str]]] = [
    ("everything", [TEXT, CALL, SOURCE], [TEXT, CALL, SOURCE], []),
    ("nothing", [], [SOURCE], ["source-url"]),
    ("the beginning of a text", [{"type": "text", "text": "g"}], [TEXT], ["text-start", "text-delta", "text-end"]),
    ("a text in two pieces", [{"type": "text", "text": "g"}, {"type": "text", "text": "o"}], [TEXT], []),
    ("two texts in one piece", [{"type": "text", "text": "gogo"}], [TEXT, TEXT], []),
    ("another text", [{"type": "text", "text": "x"}], [TEXT], ["text-start", "text-delta", "text-end"]),
    ("a call", [CALL], [{**CALL, "result": 1}], ["tool-output-available"]),
    ("its own result", [{**CALL, "result": 1}], [CALL], []),
    ("another result", [{**CALL, "result": 1}], [{**CALL, "result": 2}], ["tool-output-available"]),
    ("an older data part", [{**DATA, "id": "x"}], [{**DATA, "data": 2}], ["data-d"]),
    ("a file", [{"type": "image", "image": "data:image/png;base64,aGk="}], [FILE], []),
]  # fmt: skip


@pytest.mark.parametrize(("has", "parts", "told"), [row[1:] for row in HAS], ids=[row[0] for row in HAS])
def test_a_client_is_told_what_it_lacks(has: list[Json], parts: list[Json], told: list[str]) -> None:
    found = going_on(ClientCopy(has), parts)

    assert types(found) == ["start", "start-step", *told, "finish-step", "finish"]


def test_what_the_clients_form_cannot_carry_it_is_taken_to_have() -> None:
    parts = [{"type": "reasoning", "text": "r"}, TEXT, SOURCE]
    found = going_on(ClientCopy([TEXT], carries=["text"]), parts)

    assert types(found) == ["start", "start-step", "finish-step", "finish"]


def test_a_data_part_that_the_client_has_keeps_its_name_there() -> None:
    found = going_on(
        ClientCopy([{"type": "data", "name": "d", "data": 1, "id": "theirs"}]),
        [{"type": "data", "name": "d", "data": 2}],
    )

    assert found[2]["id"] == "theirs"


def test_a_result_that_waits_for_its_confirmation_is_confirmed() -> None:
    client_copy = ClientCopy([{**CALL, "result": {"approved": True}}], unconfirmed=["c"], approvals={"c": "theirs"})
    found = going_on(client_copy, [{**CALL, "result": {"approved": True}}])

    assert [chunk for chunk in found if "toolCallId" in chunk or "approvalId" in chunk] == [
        {"type": "tool-approval-response", "approvalId": "theirs", "approved": True},
        {"type": "tool-output-available", "toolCallId": "c", "output": {"approved": True}, "providerExecuted": True},
    ]


def test_what_comes_later_is_told_though_the_client_had_something_like_it() -> None:
    found = going_on(
        ClientCopy([TEXT]), [TEXT], lambda document: document.root["messages"][0]["parts"].append(dict(TEXT))
    )

    assert deltas(found) == ["go"]


def test_a_stream_that_joins_does_not_repeat_what_was_emitted_to_a_client_that_goes_on() -> None:
    emitted = [
        ChunkEntry(2, RUN, chunks.PartStarted(part=0, init=chunks.TextPart())),
        ChunkEntry(3, RUN, chunks.TextDelta(part=0, text="x")),
    ]
    for client_copy, repeats in ((None, True), (ClientCopy([TEXT]), False)):
        encoder = MESSAGE_PROTOCOLS["ui-message-stream"](Projection(["messages"], run_id=RUN, client_copy=client_copy))
        body = encoder.snapshot(b'{"messages":[]}', 3, [RunEntry(1, RunState(RUN, "running")), *emitted])

        assert (b"text-delta" in body) is repeats
