"""What Pydantic AI receives of a page's messages and tools."""

from __future__ import annotations

import pytest
from pydantic_ai.messages import AudioUrl, BinaryContent, DocumentUrl, ImageUrl

from statecast_agents.frameworks.pydantic_ai.input import page_tools, user_content
from tests.ids import stable

PIXEL = "data:image/png;base64,AAEC"


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ({"type": "image", "image": PIXEL}, BinaryContent(b"\0\1\2", media_type="image/png")),
        ({"type": "image", "image": "https://a.example/b.png"}, ImageUrl(url="https://a.example/b.png")),
        (
            {"type": "file", "data": "AAEC", "mimeType": "application/pdf"},
            BinaryContent(b"\0\1\2", media_type="application/pdf"),
        ),
        (
            {"type": "file", "data": "data:text/plain,a%20b", "mimeType": "text/plain"},
            BinaryContent(b"a b", media_type="text/plain"),
        ),
        (
            {"type": "file", "data": "https://a.example/b", "mimeType": "application/pdf"},
            DocumentUrl(url="https://a.example/b", media_type="application/pdf"),
        ),
        (
            {"type": "file", "data": "https://a.example/b", "mimeType": "audio/wav"},
            AudioUrl(url="https://a.example/b", media_type="audio/wav"),
        ),
    ],
    ids=stable,
)
def test_a_file_of_a_message_becomes_content(part, content) -> None:
    assert user_content([{"type": "text", "text": "See:"}, part]) == ["See:", content]


def test_texts_alone_are_one_text() -> None:
    assert user_content([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]) == "a\nb"


@pytest.mark.parametrize(
    "part",
    [
        None,
        {},
        {"type": "data", "name": "n", "data": 1},
        {"type": "image", "image": 7},
        {"type": "image", "image": "AAEC"},
        {"type": "file", "data": "%%%", "mimeType": "text/plain"},
        {"type": "file", "data": "ä", "mimeType": "text/plain"},
        {"type": "file", "data": "data:text/plain;base64,A", "mimeType": "text/plain"},
    ],
    ids=stable,
)
def test_a_part_that_no_model_can_read_is_left_out(part) -> None:
    assert user_content([part]) == ""


def test_tools_of_a_page_are_external_tools() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    toolset = page_tools({"ask": {"description": "Ask.", "parameters": schema}, "bare": {}})

    assert toolset is not None
    asked, bare = toolset.tool_defs
    assert (asked.name, asked.description, asked.parameters_json_schema) == ("ask", "Ask.", schema)
    assert (bare.name, bare.parameters_json_schema) == ("bare", {"type": "object", "properties": {}})
    assert page_tools({}) is None
