"""The reference of `/ag-ui` says what the code reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from statecast.protocol.ag_ui import encoder, request
from tests.docs.pages import PROTOCOL, code


def test_the_table_of_the_body_has_every_field() -> None:
    documented = [name for cell, _ in PROTOCOL.rows("POST /ag-ui") for name in code(cell)]

    assert sorted(documented) == sorted(field.encode_name for field in msgspec.structs.fields(request.RunAgentInput))


def test_the_table_of_events_has_everything_that_is_written() -> None:
    source = Path(encoder.__file__).read_text(encoding="utf-8")
    written = set(re.findall(r'typed_event\(\s*"([A-Z_]+)"', source)) | {"TOOL_CALL_ARGS"}
    written |= {f"{kind}_MESSAGE_CONTENT" for kind in ("TEXT", "REASONING")}
    section = PROTOCOL.section("POST /ag-ui")

    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+|CUSTOM)`", section)) == written
