"""The reference says what the code says: names, errors, limits, settings, chunks, endpoints, sections."""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

import msgspec
import pytest
from starlette.routing import Route, WebSocketRoute
from wsproto.frame_protocol import CloseReason

import statecast
import statecast_agents
from statecast import (
    Agent,
    Connections,
    Limits,
    Run,
    client,
    create_app,
    demo,
    errors,
    frameworks,
    parts,
    state,
    stores,
    testing,
    wires,
)
from statecast.cli.commands import parser
from statecast.cli.parser import CommandParser, variable_of
from statecast.cli.settings import STORES
from statecast.connections import websocket
from statecast.demo.library import best, passages
from statecast.errors import AgentError, MessageConflict, StatecastError, ToolFailed
from statecast.http.cloud import errors as cloud_errors
from statecast.http.endpoints import socket
from statecast.http.endpoints.events import Format
from statecast.http.middleware.cors import EXPOSED
from statecast.http.request.fields import _KNOWN, _SPREAD
from statecast.http.response.statuses import status_of_class
from statecast.parts import Usage
from statecast.protocol import PROTOCOLS
from statecast.protocol.assistant_transport import data_stream, events
from statecast.protocol.errors import RequestError
from statecast.testing import TestClient
from statecast_agents.agent import Policy
from tests.docs.pages import API, PAGES, PROTOCOL, ROOT, SETTINGS, code, load

SOURCES = [path for top in ("agents", "transport") for path in sorted((ROOT / top).rglob("*.py"))]


# Names


@pytest.mark.parametrize(
    ("module", "sections"),
    [
        (statecast, ["Serving", "Agents and runs", "Commands"]),
        (state, ["State"]),
        (parts, ["Parts"]),
        (errors, ["Errors"]),
        (frameworks, ["Frameworks"]),
        (wires, ["Wires"]),
    ],
)
def test_the_api_page_lists_every_public_name(module: ModuleType, sections: list[str]) -> None:
    text = "".join(API.section(section) for section in sections)
    listed = re.findall(r"^- `(\w+)`: ", text, re.MULTILINE)
    also = [name for name in ("AgentError", "ToolFailed") if module is errors and f"`{name}`" in text]

    assert sorted(listed + also) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in listed)


def test_the_agents_side_offers_what_the_public_modules_pass_on() -> None:
    passed_on = {*statecast.__all__, *state.__all__, *parts.__all__, *errors.__all__}

    assert set(statecast_agents.__all__) == {name for name in passed_on if hasattr(statecast_agents, name)}


def test_the_api_page_lists_the_names_for_tests() -> None:
    assert set(code(API.section("Testing"))) == {"statecast.testing", *testing.__all__}


def test_the_api_page_lists_the_names_for_clients_and_stores() -> None:
    assert set(code(API.section("Clients"))) == {"statecast.client", *client.__all__}
    assert set(code(API.section("Stores"))) - {"statecast.stores"} <= set(stores.__all__)


def test_the_guide_lists_the_methods_of_a_clients_thread() -> None:
    rows = load(ROOT / "docs" / "guides" / "clients.md").rows("From Python")
    methods = [name for name, value in vars(client.Thread).items() if not name.startswith("_") and callable(value)]

    assert [code(cell)[0] for cell, _ in rows] == methods


def test_every_section_that_the_code_cites_is_there() -> None:
    cited = {
        (path.name, match[1], match[2])
        for path in SOURCES
        for match in re.finditer(r'(docs/[\w./-]+\.md), "([^"]+)"', re.sub(r"\s+", " ", path.read_text("utf-8")))
    }

    assert len(cited) > 8
    assert [cite for cite in sorted(cited) if cite[2] not in load(ROOT / cite[1]).headings] == []


# Errors


#: The classes whose errors bring their code along.
CODES_OF_THEIR_OWN = {AgentError, ToolFailed, MessageConflict}


def test_the_table_of_errors_has_every_code_with_its_status() -> None:
    documented = {code(name)[0]: set(statuses.split(", ")) for statuses, name, _ in PROTOCOL.rows("Errors")}
    found: dict[str, set[str]] = {}
    assert issubclass(cloud_errors.UnknownLease, StatecastError)  # imported, so that they are among the subclasses
    for kind in _classes(StatecastError):
        if (kind.code != StatecastError.code or kind is StatecastError) and kind not in CODES_OF_THEIR_OWN:
            status = str(status_of_class(kind)) if issubclass(kind, RequestError) else "Python"
            found.setdefault(kind.code, set()).add(status)
    for path in SOURCES:
        for status, name in _codes(ast.parse(path.read_text("utf-8"))):
            found.setdefault(name, set()).add(status)
    # A run whose turn comes later fails with the code of what refuses its commands.
    for name in ("unknown_command", "invalid_command", "unknown_parent", "unknown_tool_call", "tool_call_settled"):
        found[name].add("run")
    for name in ("invalid_answer", "question_answered", "unknown_question"):
        found[name].add("run")
    found["no_messages"].add("run")
    found["message_id_taken"] = {"run"}  # an agent's own doing
    found["not_json"] |= {"422", "run"}
    found["state_too_large"] = {"413", "run"}
    found["part_too_large"] = {"run"}
    found["memory_too_large"] = {"run"}
    found["run_interrupted"].add("503")
    found["unknown_frame"].add("frame")
    found["http_error"] = {"any"}  # starlette's, or the app's own

    assert documented == found


def _classes(kind: type[StatecastError]) -> Iterator[type[StatecastError]]:
    """Yield a class, and all below it but those of tests."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("statecast"):
            yield from _classes(below)


def _codes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the status and the code of every error that a module makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            texts = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            if node.func.id == "RunError" and isinstance(texts[0], str):
                yield "run", texts[0]
            elif node.func.id == "MessageConflict" and isinstance(texts[0], str):
                yield "409", texts[0]
            elif node.func.id == "AgentError" and isinstance(keywords.get("code"), ast.Constant):
                yield "run", keywords["code"].value  # type: ignore[attr-defined]  # a constant has one
        elif isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "AgentError" for base in node.bases):
            for call in ast.walk(node):
                if isinstance(call, ast.keyword) and call.arg == "code" and isinstance(call.value, ast.Constant):
                    yield "run", str(call.value.value)


def test_a_failed_request_has_the_shape_that_is_documented() -> None:
    async def scenario() -> list[Any]:
        async with TestClient(demo.agent) as client:
            requests = [("GET", "/nothing"), ("GET", "/assistant"), ("POST", "/assistant")]
            return [(await client.request(*request)).json() for request in requests]

    for answer in asyncio.run(scenario()):
        assert {"code", "message"} <= answer["error"].keys()


# Limits and settings


def test_the_table_of_limits_has_every_field_with_its_default() -> None:
    documented = {code(name)[0]: default for name, default, _ in SETTINGS.rows("Limits")}

    assert documented == {name: _shown(value) for name, value in _defaults(Limits) if name != "connections"}


def test_the_table_of_connections_has_every_field_with_its_default() -> None:
    documented = {code(name)[0]: default.strip("`") for name, default, _ in SETTINGS.rows("Connections")}

    assert documented == {name: _shown(value) for name, value in _defaults(Connections)}


def _defaults(settings: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    return [(field.name, field.default) for field in msgspec.structs.fields(settings)]


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value)
    return f"{value:g}" if value % 1 else str(int(value))


def test_the_table_of_settings_has_every_argument_and_option() -> None:
    rows = SETTINGS.rows("Arguments and options")
    parameters = inspect.signature(create_app).parameters

    assert [code(argument)[0] for argument, *_ in rows] == [name for name in parameters if name != "agents"]
    options = {option.split()[0]: code(variable) for _, cell, variable, *_ in rows for option in code(cell)}
    options |= {
        code(cell)[0].split()[0]: code(variable) for cell, variable, *_ in SETTINGS.rows("Options of the process")
    }
    settings = _commands()["serve"].settings()
    assert options == {action.option_strings[0]: [variable_of(action)] for action in settings}


def test_the_table_of_stores_names_stores() -> None:
    for url, _ in SETTINGS.rows("Stores"):
        assert stores.store_of(code(url)[0]) is not None
    defaults = {name: STORES[name] for name in ("serve", "dev")}
    assert defaults == {"serve": "sqlite:///statecast.db", "dev": "sqlite:///statecast.db"}
    assert all(f"`{default}`" in SETTINGS.section("Stores") for default in defaults.values())


def _commands() -> dict[str, CommandParser]:
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return commands.choices


def test_the_table_of_policies_has_every_policy() -> None:
    assert [code(name)[0] for name, _ in PROTOCOL.rows("Policies")] == list(get_args(Policy))


def test_the_formats_of_events_are_documented() -> None:
    section = PROTOCOL.section("GET /threads/{id}/events")

    assert all(f"`{name}`" in section for name in get_args(Format))


def test_the_codes_of_a_closed_socket_are_documented() -> None:
    section = PROTOCOL.section("WS /threads/{id}/ws")
    documented = [int(code) for code in re.findall(r"^\| (\d{4}) \|", section, re.MULTILINE)]

    # The others are refused before there is a socket to close.
    ours = [socket.STOPPING, socket.EXPIRED, socket.UNKNOWN, socket.STALLED, websocket.TOO_SLOW, websocket.FULL]
    assert documented == sorted([*ours, CloseReason.MESSAGE_TOO_BIG])


def test_the_table_of_the_body_has_every_field() -> None:
    documented = {code(name)[0] for name, *_ in PROTOCOL.rows("Body")}

    assert documented == _KNOWN - set(_SPREAD)
    settings = {text for _, _, meaning in PROTOCOL.rows("Body") for text in code(meaning)}
    assert set(_SPREAD) <= settings


def test_every_endpoint_is_documented() -> None:
    served = set()
    for route in create_app(demo.agent, cloud=True).router.routes:
        assert isinstance(route, Route | WebSocketRoute)
        methods = (route.methods or set()) - {"HEAD"} if isinstance(route, Route) else {"WS"}
        served |= {(method, route.path.replace("{thread_id}", "{id}")) for method in methods}

    assert served == set(re.findall(r"(DELETE|GET|PATCH|POST|PUT|WS) (/[\w/{}.-]+)", PROTOCOL.prose))


# The wire


def test_the_tables_of_chunks_have_everything_that_the_encoders_write() -> None:
    agent = Agent()

    @agent.batch
    async def everything(run: Run) -> None:
        parts = run.parts
        with parts.step() as step:
            parts.append_text("a")
            parts.append_text("b", parent_id="p")
            parts.append_reasoning("c")
            parts.append_reasoning("d", summary="s", parent_id="p")
            step.usage = Usage(1, 2)
        call = parts.add_tool_call("tool", {"x": 1})
        call.set_result(1, is_error=True, artifact=2, model_content=[], messages=[])
        parts.add_source("https://example.com", title="t", parent_id="p")
        parts.add_file("data", "text/plain")
        parts.add_data_part("name", 1)
        parts.add_data(1)
        parts.add_annotations(1)
        parts.add_error("e", code="c", severity="info")
        parts.finish()

    async def scenario(protocol: str) -> bytes:
        async with TestClient(agent) as client:
            body = {"commands": [{"type": "add-message", "message": {"role": "user", "parts": []}}]}
            return (await client.post(f"/assistant?protocol={protocol}", json=body)).content

    lines = data_stream.decode(asyncio.run(scenario("data-stream")))
    assert {name for name, _ in lines} == {code(cell)[0] for cell, _ in PROTOCOL.rows("data-stream")}
    for name, value in lines:
        if isinstance(value, dict):
            row = next(row for row in PROTOCOL.rows("data-stream") if code(row[0])[0] == name)
            assert value.keys() <= set(re.findall(r'"(\w+)"', row[1])), name

    chunks, _ = events.decode(asyncio.run(scenario("assistant-transport")))
    rows = {code(row[0])[0]: row for row in PROTOCOL.rows("assistant-transport")}
    assert {chunk["type"] for chunk in chunks} == rows.keys()
    for chunk in chunks:
        _, path, fields = rows[chunk["type"]]
        assert ("[k]" in path) == bool(chunk["path"])
        documented = set(re.findall(r"\w+", " ".join(code(fields))))
        assert chunk.keys() - {"type", "path"} <= documented
        assert chunk.get("part", {}).keys() <= documented


def test_the_protocols_are_named() -> None:
    assert list(PROTOCOLS) == ["data-stream", "assistant-transport"]
    assert [heading for heading in PROTOCOL.headings if heading in PROTOCOLS] == ["assistant-transport", "data-stream"]


def test_the_table_of_message_parts_has_what_the_helpers_write() -> None:
    rows = {code(row[0])[0]: set(re.findall(r"\w+", " ".join(code(row[1])))) for row in PROTOCOL.rows("Messages")}
    agent = Agent()

    @agent.batch
    async def everything(run: Run) -> None:
        message = run.messages.assistant()
        message.append_text("a")
        message.append_reasoning("b")
        message.add_source("https://example.com", title="t")
        message.add_file("data", "text/plain")
        message.add_data("name", 1)
        message.add_tool_call("tool").set_result(1, artifact=2)

    async def scenario() -> Any:
        async with TestClient(agent) as client:
            return (await client.run("hi")).state

    parts = asyncio.run(scenario())["messages"][1]["parts"]
    assert {part["type"] for part in parts} | {"image"} == rows.keys()
    for part in parts:
        assert part.keys() - {"type"} <= rows[part["type"]]


def test_the_headers_of_a_stream_are_documented() -> None:
    written = {code(cell)[0] for cell, _ in PROTOCOL.rows("Response headers")}
    assert written <= set(EXPOSED)
    assert {name for name in EXPOSED if name.startswith("Statecast-")} <= written


# The demo


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is Statecast?", "Python server and library that streams the state"),
        ("How do I start the demo?", "make demo"),
        ("How do I start an agent?", "statecast serve"),
        ("What is a cursor?", "A **cursor** is a place in a thread's log"),
        ("What is a run?", "A **run** is one execution of an agent"),
        ("What is a snapshot?", "A **snapshot** is the whole state"),
        ("How do I stop a run?", "/cancel"),
    ],
)
def test_the_demo_finds_answers_in_the_documents(question: str, words: str) -> None:
    documents = {page.path.name: page.text for page in PAGES}
    found = best(question, [passage for name, text in documents.items() for passage in passages(name, text)])

    assert any(words in passage.text for passage in found), [passage.text for passage in found]


def test_the_steering_words_of_the_readme_are_those_of_the_demo() -> None:
    readme = load(ROOT / "README.md")
    words = {code(word)[0] for word, _ in readme.rows("Try it")}
    source = (ROOT / "transport" / "statecast" / "demo" / "agent.py").read_text(encoding="utf-8")

    assert words == set(re.findall(r'"(\w+)" in steering', source))
    for command in demo.agent.commands.names[3:]:
        assert f"`{command}`" in readme.section("Try it")
