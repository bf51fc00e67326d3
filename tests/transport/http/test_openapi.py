"""The OpenAPI document and `/agents`: sound, and true to what is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import msgspec
import pytest
from starlette.routing import Route

from statecast import Agent, Command, Run, create_app
from statecast.http.endpoints.assistant import AssistantRequest, StateProtocol
from statecast.http.request.fields import _KNOWN, _SPREAD
from statecast.protocol import MESSAGE_PROTOCOLS, PROTOCOLS
from statecast.protocol.ai_sdk.wire import ChatWire
from statecast.protocol.local.wires import FORMS, JsonWire, SseWire
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio

#: What OpenAPI 3.1 allows in these objects, as far as this document uses them.
ALLOWED = {
    "document": {"openapi", "info", "paths", "components"},
    "operation": {"summary", "parameters", "requestBody", "responses"},
    "parameter": {"name", "in", "required", "schema"},
    "response": {"description", "content", "headers"},
}


class Point(msgspec.Struct):
    x: int
    y: int = 0


class MoveTo(Command, frozen=True):
    """Move there."""

    to: Point
    pace: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class State(msgspec.Struct):
    at: Point | None = None
    trail: list[Point] = []


def agent() -> Agent:
    made = Agent("walker", state=State, commands=["wave"])

    @made.on(MoveTo)
    async def move(run: Run, command: MoveTo) -> None: ...

    return made


async def document(*agents: Agent, cloud: bool = False) -> Any:
    async with TestClient(create_app(agents or [agent(), Agent("other")], cloud=cloud)) as client:
        response = await client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    return response.json()


def operations(openapi: Any) -> Iterator[tuple[str, str, Any]]:
    return ((path, method, it) for path, item in openapi["paths"].items() for method, it in item.items())


def within(value: Any) -> Iterator[Any]:
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(item)


CLOUD = pytest.mark.parametrize("cloud", [False, True])


@CLOUD
async def test_the_document_is_sound(cloud: bool) -> None:
    openapi = await document(cloud=cloud)

    assert set(openapi) == ALLOWED["document"]
    assert re.fullmatch(r"3\.1\.\d+", openapi["openapi"])
    assert {"title", "version"} <= set(openapi["info"])
    for path, _, operation in operations(openapi):
        assert set(operation) <= ALLOWED["operation"]
        in_path = [given["name"] for given in operation["parameters"] if given["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)
        for given in operation["parameters"]:
            assert set(given) <= ALLOWED["parameter"]
            assert given["in"] != "path" or given["required"]
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5](\d\d|XX)", status)
            assert set(response) <= ALLOWED["response"]
            assert response["description"]


async def test_every_reference_leads_somewhere() -> None:
    openapi = await document()
    references = {it["$ref"] for it in within(openapi) if isinstance(it, dict) and "$ref" in it}

    assert references >= {"#/components/schemas/MoveTo", "#/components/schemas/Point", "#/components/schemas/Error"}
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in openapi["components"]["schemas"]
    assert not any("$defs" in it for it in within(openapi) if isinstance(it, dict))


@CLOUD
async def test_everything_it_names_is_served_and_everything_served_is_named(cloud: bool) -> None:
    openapi = await document(cloud=cloud)
    app = create_app(agent(), cloud=cloud)
    served = {
        (route.path.replace("_id}", "Id}"), method.lower())
        for route in app.router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }

    assert {(path, method) for path, method, _ in operations(openapi)} == {
        (path, method) for path, method in served if method != "head"
    }


async def test_it_carries_the_schemas_of_the_commands() -> None:
    openapi = await document()
    schemas = openapi["components"]["schemas"]
    body = openapi["paths"]["/assistant"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    properties = schemas[body["$ref"].rpartition("/")[2]]["properties"]
    commands, schema = schemas["AnyCommand"]["anyOf"], schemas["MoveTo"]

    assert {"$ref": "#/components/schemas/MoveTo"} in commands
    assert "wave" in str(commands)
    assert schema["properties"]["type"] == {"enum": ["move-to"]}
    assert schema["properties"]["to"] == {"$ref": "#/components/schemas/Point"}
    assert schema["properties"]["pace"]["exclusiveMinimum"] == 0
    assert properties["commands"]["items"] == {"$ref": "#/components/schemas/AnyCommand"}
    assert properties["agent"] == {"$ref": "#/components/schemas/AgentName"}
    assert schemas["AgentName"] == {"enum": ["walker", "other"]}


async def test_commands_of_the_same_name_have_a_schema_each() -> None:
    class AgentName(Command, frozen=True):
        nick: str

    class Error(Command, frozen=True):
        why: str

    openapi = await document(Agent("one", commands=[AgentName, Error]), agent())
    schemas = openapi["components"]["schemas"]
    (commands,) = (schema["anyOf"] for name, schema in schemas.items() if name.endswith("AnyCommand"))
    fields = {
        field for it in commands if "$ref" in it for field in schemas[it["$ref"].rpartition("/")[2]]["properties"]
    }

    assert {"nick", "why", "pace"} <= fields
    assert {"enum": ["one", "walker"]} in schemas.values()
    refused = openapi["paths"]["/agents"]["get"]["responses"]["4XX"]["content"]["application/json"]["schema"]
    assert schemas[refused["$ref"].rpartition("/")[2]]["required"] == ["error"]


async def test_agents_come_with_the_schemas_of_their_commands_and_states() -> None:
    async with TestClient(create_app([agent(), Agent("other")])) as client:
        walker, other = (await client.get("/agents")).json()["agents"]

    assert list(walker["commands"]) == ["add-message", "add-tool-result", "answer", "wave", "move-to"]
    assert walker["commands"]["wave"]["type"] == "object"
    assert "trail" in walker["state"]["$defs"]["State"]["properties"]
    assert (other["name"], other["state"]) == ("other", None)


@CLOUD
async def test_a_validator_agrees_where_there_is_one(cloud: bool) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="needs openapi-spec-validator")
    validator.validate(await document(cloud=cloud))


def test_the_types_of_bodies_and_queries_name_what_is_read() -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(AssistantRequest)}
    forms = JsonWire.description.query, SseWire.description.query, ChatWire.description.query

    assert fields == set(_KNOWN) - set(_SPREAD) - {"ref", "runId", "type"}
    assert get_args(StateProtocol) == tuple(PROTOCOLS)
    assert [set(get_args(query.get("form") or query.get("protocol"))) for query in forms] == [
        set(),
        set(FORMS),
        set(MESSAGE_PROTOCOLS),
    ]
