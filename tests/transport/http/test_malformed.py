"""Malformed requests: each gets its 4xx and a stable code, none has an effect, none leaves a traceback."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast import create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from tests.transport.held_agent import HOLD, NOTE, held, said

pytestmark = pytest.mark.anyio

JSON: Final = {"content-type": "application/json"}
ENDPOINTS: Final = ["/assistant", "/resume", "/cancel", "/initial-state"]

#: A request with every field there is, and one value of each type of JSON.
VALID: Final[dict[str, Json]] = {
    "commands": [said("grüß dich", id="m", parentId=None, sourceId=None), {"type": "note", "id": "n"}],
    "state": {"notes": ["held"]},
    "threadId": "t",
    "parentId": "p",
    "system": "Be kind.",
    "tools": {"look": {"parameters": {}}},
    "callSettings": {"maxTokens": 1, "temperature": 0.5, "seed": 3},
    "config": {"apiKey": "k", "baseUrl": "u", "modelName": "m"},
    "protocol": "data-stream",
    "agent": "agent",
    "onDisconnect": "continue",
    "mine": [1],
}
OF_EACH_TYPE: Final[dict[str, Json]] = {
    "null": None,
    "boolean": True,
    "number": 1.5,
    "integer": 7,
    "string": "zzz",
    "array": [[]],
    "object": {"z": 1},
}

#: Where; what is accepted there, beside what VALID has; the code that all else gets.
FIELDS: Final[list[tuple[str, str, str]]] = [
    ("commands", "null", "invalid_request invalid_command"),
    ("commands/0", "", "invalid_command"),
    ("commands/0/type", "", "invalid_command unknown_command"),
    ("commands/0/id", "null string", "invalid_command"),
    ("commands/0/message", "", "invalid_command"),
    ("commands/0/message/role", "", "invalid_command"),
    ("commands/0/message/parts", "", "invalid_command"),
    ("commands/0/message/parts/0", "", "invalid_command"),
    ("commands/0/message/parts/0/type", "string", "invalid_command"),
    ("commands/0/message/parts/0/text", "string", "invalid_command"),
    ("commands/0/message/metadata", "object", "invalid_command"),
    ("commands/0/parentId", "null string", "invalid_command"),
    ("commands/0/sourceId", "null string", "invalid_command"),
    ("threadId", "null string", "invalid_request"),
    ("parentId", "null string", "invalid_request"),
    ("system", "null string", "invalid_request"),
    ("tools", "null object", "invalid_request"),
    ("callSettings", "null object", "invalid_request"),
    ("callSettings/maxTokens", "null integer", "invalid_request"),
    ("callSettings/temperature", "null number integer", "invalid_request"),
    ("callSettings/topP", "null number integer", "invalid_request"),
    ("callSettings/presencePenalty", "null number integer", "invalid_request"),
    ("callSettings/frequencyPenalty", "null number integer", "invalid_request"),
    ("callSettings/seed", "null integer", "invalid_request"),
    ("config", "null object", "invalid_request"),
    ("config/apiKey", "null string", "invalid_request"),
    ("config/baseUrl", "null string", "invalid_request"),
    ("config/modelName", "null string", "invalid_request"),
    ("protocol", "null", "invalid_request unknown_protocol"),
    ("agent", "null", "invalid_request unknown_agent"),
    ("onDisconnect", "null", "invalid_request"),
]


def with_value(path: str, value: Json) -> dict[str, Json]:
    body = copy.deepcopy(VALID)
    *above, last = path.split("/")
    at: Any = body
    for key in above:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    return body


@asynccontextmanager
async def untouched(caplog: pytest.LogCaptureFixture | None = None) -> AsyncIterator[TestClient]:
    """Yield a client of an app with a thread that runs one batch and has another queued; none of it may change."""
    agent, release = held()
    app = create_app(agent)

    async def facts(client: TestClient) -> Any:
        paths = ["/status/t", "/threads/t/state", "/health"]
        return [(await client.get(path)).json() for path in paths]

    async with TestClient(app) as client:
        async with (
            client.stream("POST", "/assistant", json={"commands": [HOLD], "threadId": "t"}) as first,
            client.stream("POST", "/assistant", json={"commands": [NOTE], "threadId": "t"}) as second,
        ):
            await first.read_until(b"held")
            await second.read_until(b"held")
            before = await facts(client)
            assert len(before[0]["queued"]) == 1
            with anyio.fail_after(60):  # what is accepted waits behind the run
                yield client
            assert await facts(client) == before
        release.set()
    if caplog is not None:
        assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING] == []


def refused(response: Response, codes: str) -> bool:
    """Whether a response is a refusal with one of these codes, in the shape of every error."""
    error = json.loads(response.content)["error"]
    assert isinstance(error["message"], str)
    return 400 <= response.status < 500 and error["code"] in codes.split()


async def test_the_valid_request_is_accepted() -> None:
    agent, _ = held()
    async with TestClient(agent) as client:
        assert (await client.post("/assistant", json=VALID)).status == 200


@pytest.mark.parametrize(("path", "accepted", "codes"), FIELDS, ids=[row[0] for row in FIELDS])
async def test_every_wrong_type_in_every_field(
    path: str, accepted: str, codes: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with untouched(caplog) as client:
        for kind, value in OF_EACH_TYPE.items():
            if kind not in accepted.split():
                assert refused(await client.post("/assistant", json=with_value(path, value)), codes), (kind, path)


@pytest.mark.parametrize(("path", "accepted", "codes"), FIELDS, ids=[row[0] for row in FIELDS])
async def test_what_is_accepted_in_every_field(path: str, accepted: str, codes: str) -> None:
    for kind in accepted.split():
        async with TestClient(held()[0]) as client:
            response = await client.post("/assistant", json=with_value(path, OF_EACH_TYPE[kind]))
            assert response.status == 200, (kind, path)


@pytest.mark.parametrize("path", ["/resume", "/cancel", "/initial-state"])
@pytest.mark.parametrize("field", ["threadId", "runId"])
async def test_every_wrong_type_where_a_thread_is_named(path: str, field: str) -> None:
    async with untouched() as client:
        for kind in ["boolean", "number", "integer", "array", "object"]:
            if not (path == "/initial-state" and field == "runId"):
                body = {"threadId": "t", field: OF_EACH_TYPE[kind]}
                assert refused(await client.post(path, json=body), "invalid_request")


@pytest.mark.parametrize("missing", ["type", "message", "message/role", "message/parts"])
async def test_a_command_without_one_of_its_fields(missing: str) -> None:
    body = copy.deepcopy(VALID)
    *above, last = missing.split("/")
    del (body["commands"][0][above[0]] if above else body["commands"][0])[last]
    async with untouched() as client:
        assert refused(await client.post("/assistant", json=body), "invalid_command")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "body", [b"", b" ", b"null", b"true", b"1", b'"{}"', b"[]", b"[{}]", b"{}{}", b"{},", b"{'a':1}"]
)
async def test_a_body_that_is_no_object(path: str, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with untouched(caplog) as client:
        assert refused(await client.post(path, content=body, headers=JSON), "malformed_json invalid_request")


async def test_a_body_cut_off_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps(VALID, ensure_ascii=False).encode()
    async with untouched(caplog) as client:
        for length in range(len(body)):
            assert refused(await client.post("/assistant", content=body[:length], headers=JSON), "malformed_json")


async def test_bytes_that_are_no_utf8_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps(VALID, ensure_ascii=False).encode()
    async with untouched(caplog) as client:
        for wrong in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"):
            for at in range(0, len(body) + 1, 5):
                spoiled = body[:at] + wrong + body[at:]
                assert refused(await client.post("/assistant", content=spoiled, headers=JSON), "malformed_json")


async def test_a_byte_order_mark(caplog: pytest.LogCaptureFixture) -> None:
    async with untouched(caplog) as client:
        for path in ENDPOINTS:
            body = b"\xef\xbb\xbf" + json.dumps(VALID).encode()
            assert refused(await client.post(path, content=body, headers=JSON), "malformed_json")


#: Text that no field may hold, and its code.
POISONS: Final[list[tuple[str, str]]] = [
    ("9007199254740993", "number_out_of_range"),
    ("-9007199254740993", "number_out_of_range"),
    ("123456789012345678901234567890", "number_out_of_range"),
    ("9" * 100_000, "number_out_of_range"),
    ("1e400", "number_out_of_range invalid_command"),
    ("-1e99999", "number_out_of_range invalid_command"),
    ("NaN", "malformed_json"),
    ("Infinity", "malformed_json"),
    ("-Infinity", "malformed_json"),
    ("01", "malformed_json"),
    ("undefined", "malformed_json"),
    ('{"__proto__":1}', "forbidden_key"),
    ('{"a":[{"constructor":{"prototype":1}}]}', "forbidden_key"),
    ('{"\\u005f_proto__":1}', "forbidden_key"),
    ('"\\ud800"', "malformed_json"),
    ('"\\udc00x"', "malformed_json"),
    ('{"\\ud800":1}', "malformed_json"),
    ('"\\x"', "malformed_json"),
    ('"\n"', "malformed_json"),
    ('"\\u00"', "malformed_json"),
    ("[" * 129 + "]" * 129, "too_deep"),
    ("[" * 100_000, "too_deep malformed_json"),  # newer Pythons look further, and find that it has no end
    ('{"a":' * 100_000 + "1" + "}" * 100_000, "too_deep"),
]
PLACES: Final = {
    "a field of the app's own": '{"threadId":"t","commands":[],"mine":%s}',
    "a command": '{"threadId":"t","commands":[{"type":"note","text":%s}]}',
    "a message": (
        '{"threadId":"t","commands":[{"type":"add-message","message":{"role":"user","parts":[{"type":"x","x":%s}]}}]}'
    ),
    "a tool's result": '{"threadId":"t","commands":[{"type":"add-tool-result","toolCallId":"c","result":%s}]}',
    "the tools": '{"threadId":"t","commands":[],"tools":{"look":%s}}',
    "the state of a new thread": '{"threadId":"new","commands":[],"state":{"a":%s}}',
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_what_no_field_may_hold(place: str, caplog: pytest.LogCaptureFixture) -> None:
    async with untouched(caplog) as client:
        for poison, codes in POISONS:
            response = await client.post("/assistant", content=(place % poison).encode(), headers=JSON)
            assert refused(response, codes), (poison[:40], response.content[:200])
        assert (await client.get("/status/new")).status == 404


@pytest.mark.parametrize("key", ["__proto__", "constructor", "prototype"])
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_keys_of_the_body_itself_that_clients_refuse(path: str, key: str) -> None:
    async with untouched() as client:
        assert refused(await client.post(path, json={"threadId": "t", key: 1}), "forbidden_key")


async def test_of_a_key_twice_the_last_counts() -> None:
    body = b'{"threadId":"no id!","commands":5,"threadId":"u","commands":[{"type":"note","text":1,"text":"x"}]}'
    async with TestClient(held()[0]) as client:
        assert (await client.post("/assistant", content=body, headers=JSON)).status == 200
        assert (await client.get("/threads/u/state")).json()["state"] == {"notes": ["x"]}
        body = b'{"threadId":"u","commands":[{"type":"note"}],"threadId":5}'
        assert refused(await client.post("/assistant", content=body, headers=JSON), "invalid_request")


async def test_one_bad_command_refuses_the_whole_batch() -> None:
    async with untouched() as client:
        for bad, code in [
            ({"type": "unheard-of"}, "unknown_command"),
            ({"type": "add-message"}, "invalid_command"),
            ({"id": "no type"}, "invalid_command"),
            ({"type": "note", "id": "x" * 129}, "invalid_command"),
        ]:
            for batch in ([NOTE, bad], [bad, NOTE]):
                response = await client.post("/assistant", json={"commands": batch, "threadId": "t"})
                assert refused(response, code)


async def test_a_misspelt_command_is_told_the_right_one() -> None:
    async with TestClient(held()[0]) as client:
        message = (await client.run({"type": "add-mesage"})).error or {}
    assert message["message"].endswith('got "add-mesage" (did you mean "add-message"?)')


def _spoiled(draw: st.DrawFn) -> bytes:
    body = bytearray(json.dumps(VALID, ensure_ascii=False).encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body) - 1))
        match draw(st.sampled_from(["drop", "put", "flip", "swap"])):
            case "drop":
                del body[at : at + draw(st.integers(1, 9))]
            case "put":
                pieces = [
                    b'"',
                    b"\\",
                    b"{",
                    b"]",
                    b",",
                    b"\x00",
                    b"\\u",
                    b"\\ud800",
                    b"1e999",
                    b"null",
                    b"-",
                    b"[]",
                    b"\xff",
                ]
                body[at:at] = draw(st.sampled_from(pieces))
            case "flip":
                body[at] ^= 1 << draw(st.integers(0, 7))
            case _:
                body[at : at + 2] = body[at : at + 2][::-1]
        if not body:
            break
    return bytes(body)


@settings(max_examples=40, deadline=None)
@given(bodies=st.lists(st.composite(_spoiled)(), min_size=20, max_size=20))
def test_whatever_is_spoiled_is_refused_or_fine_and_never_the_servers_fault(bodies: list[bytes]) -> None:
    async def send() -> None:
        async with TestClient(held()[0]) as client:
            for body in bodies:
                response = await client.post("/assistant", content=body, headers=JSON)
                assert response.status < 500, body

    asyncio.run(send())


def _paths(value: Json, at: str = "") -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield f"{at}{key}"
        yield from _paths(item, f"{at}{key}/")


def test_every_field_of_the_valid_request_is_in_the_table() -> None:
    free = ("state", "mine", "tools/", "commands/1")
    assert {path for path in _paths(VALID) if not path.startswith(free)} <= {row[0] for row in FIELDS}


@pytest.mark.parametrize("path", [path for path, *_ in FIELDS])
async def test_a_refusal_repeats_only_the_beginning_of_what_it_refuses(path: str) -> None:
    async with TestClient(held()[0]) as client:
        response = await client.post("/assistant", json=with_value(path, "x" * 1_000_000))
        assert response.status == 200 or len(response.content) < 5_000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/cancel", {"threadId": "t", "runId": "{long}"}),
        ("POST", "/chat", {"id": "t", "messages": [], "trigger": "{long}"}),
        ("POST", "/chat", {"id": "{long}", "messages": []}),
        ("POST", "/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "m", "role": "{long}", "content": ""}]}),
        ("POST", "/assistant", {"threadId": "t", "policy": "{long}"}),
        ("POST", "/assistant", {"threadId": "t", "{long}": {"__proto__": 1}}),
        ("POST", "/threads/t/messages/m/feedback", {"type": "{long}"}),
        ("PATCH", "/threads/t/state", [{"op": "{long}", "path": "/a"}]),
        ("PATCH", "/threads/t/state", [{"op": "add", "path": "/{long}", "value": 1}]),
        ("POST", "/assistant?agent={long}", {}),
        ("POST", "/{long}", {}),
        ("PUT", "/status/{long}", {}),
    ],
)  # fmt: skip
async def test_the_same_at_every_endpoint(method: str, path: str, body: Json) -> None:
    long = "x" * 100_000
    content = json.dumps(body).replace("{long}", long).encode()
    async with TestClient(held()[0]) as client:
        await client.post("/assistant", json={"commands": [NOTE], "threadId": "t"})
        refused = await client.request(method, path.replace("{long}", long), content=content, headers=JSON)
        assert refused.status < 500
        assert len(refused.content) < 5_000
