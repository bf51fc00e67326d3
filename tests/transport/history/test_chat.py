"""What `useChat` loads of a state's messages."""

from __future__ import annotations

from typing import Any

from statecast.history.chat import chat_messages

STEP = {"type": "step-start"}


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": f"m-{text}", "role": role, "parts": [{"type": "text", "text": text}], **more}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_what_is_said_between_two_messages_of_the_user_is_one_message() -> None:
    state = [said("user", "a"), said("assistant", "b"), said("assistant", "c"), said("user", "d"), said("user", "e")]

    assert chat_messages(state) == [
        {"id": "m-a", "role": "user", "parts": [text("a")]},
        {"id": "m-b", "role": "assistant", "parts": [STEP, text("b"), text("c")]},
        {"id": "m-d", "role": "user", "parts": [text("d")]},
        {"id": "m-e", "role": "user", "parts": [text("e")]},
    ]


def test_the_metadata_of_one_answer_is_joined() -> None:
    state = [
        said("assistant", "a", metadata={"usage": 1}),
        said("assistant", "b"),
        said("assistant", "c", metadata={"usage": 2}),
    ]

    assert [message["metadata"] for message in chat_messages(state)] == [{"usage": 2}]


def test_a_message_without_an_id_is_named_by_its_place_and_what_is_no_message_is_skipped() -> None:
    assert chat_messages([5, {"role": "user", "parts": [text("a")]}]) == [
        {"id": "message-1", "role": "user", "parts": [text("a")]}
    ]
