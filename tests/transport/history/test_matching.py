"""A client that leaves in the middle of an answer has written its beginning: the state tells the rest."""

from __future__ import annotations

from typing import Any

import pytest

from statecast.history.client_message import ClientMessage
from statecast.history.tree import history
from statecast_agents import Json

LEFT = {"type": "incomplete", "reason": "error", "error": "network error"}
STOPPED = {"type": "incomplete", "reason": "cancelled"}


def written(text: str, status: Json, *calls: str, format: str = "aui/v0") -> list[ClientMessage]:
    called: Json = [{"type": "tool-call", "toolCallId": id, "toolName": "x", "args": {}} for id in calls]
    parts = [{"type": "text", "text": text}, *called]
    question: Json = {"role": "user", "content": [{"type": "text", "text": "Well?"}]}
    answer: Json = {"role": "assistant", "content": parts, **({} if status is None else {"status": status})}
    return [ClientMessage("w1", None, format, question, 1.0, 1.0), ClientMessage("w2", "w1", format, answer, 2.0, 2.0)]


def state(*texts: str, **more: Json) -> list[Any]:
    question = {"id": "s1", "role": "user", "parts": [{"type": "text", "text": "Well?"}]}
    answers = [
        {"id": f"s{at}", "role": "assistant", "parts": [{"type": "text", "text": text}], **more}
        for at, text in enumerate(texts, 2)
    ]
    return [question, *answers]


def answer(items: list[ClientMessage], messages: list[Any]) -> tuple[str, Json]:
    """Return the text of the answer that the client has written, and its status."""
    found = {placed.id: placed for placed in history(items, messages, format="aui/v0", began=0.0)}
    content: Any = found["w2"].content
    return "".join(part.get("text", "") for part in content["content"]), content.get("status")


@pytest.mark.parametrize(("status", "then"), [(STOPPED, None), (LEFT, LEFT)])
def test_the_state_tells_the_rest_but_not_whether_it_failed(status: Json, then: Json) -> None:
    assert answer(written("It ", status), state("It is so.")) == ("It is so.", then)


def test_what_the_state_has_no_more_of_is_as_it_was_written() -> None:
    for text in ("It ", "", "Else"):
        assert answer(written("It ", LEFT), state(text)) == ("It ", LEFT)


def test_a_complete_answer_is_as_it_was_written() -> None:
    for status in (None, {"type": "complete", "reason": "stop"}):
        assert answer(written("It ", status), state("It is so.")) == ("It ", status)


def test_an_answer_that_the_state_has_in_two_messages_is_as_it_was_written() -> None:
    assert answer(written("It is ", LEFT), state("It ", "is ")) == ("It is ", LEFT)


def test_an_answer_that_has_more_than_the_states_is_as_it_was_written() -> None:
    assert answer(written("It ", LEFT, "call"), state("It is so.")) == ("It ", LEFT)
