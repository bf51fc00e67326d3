"""The OpenAPI document: the table of operations, with the schemas of every agent's commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from statecast_agents import Agent, Json

from .operation import ANY_FILE, AgentName, AnyCommand, Operation, Reply

__all__ = ["AgentList", "describe_agents", "openapi"]

JSON: Final = "application/json"

_REFERENCE: Final = "#/components/schemas/{name}"


class ErrorBody(msgspec.Struct):
    """Why a request was refused: a stable code, and a text for people. Some codes come with further fields."""

    code: str
    message: str


class Error(msgspec.Struct):
    """A request that was refused, and changed nothing."""

    error: ErrorBody


class AgentSuggestion(msgspec.Struct):
    """What a page offers the user to say first; the hint says what to look at, and may be empty."""

    prompt: str
    hint: str


class AgentDescription(msgspec.Struct):
    """An agent, and the JSON Schemas of its commands by their names, and of its state; null: any JSON."""

    name: str
    commands: dict[str, dict[str, Json]]
    state: dict[str, Json] | None
    suggestions: list[AgentSuggestion]


class AgentList(msgspec.Struct):
    """The agents of the app; the first answers requests that name none."""

    agents: list[AgentDescription]


def describe_agents(agents: Mapping[str, Agent]) -> list[AgentDescription]:
    """Return what clients may know of some agents."""
    return [
        AgentDescription(
            name,
            agent.commands.json_schema(),
            agent.state_type.json_schema(),
            [AgentSuggestion(prompt, hint) for prompt, hint in agent.suggestions.items()],
        )
        for name, agent in agents.items()
    ]


def openapi(operations: Sequence[Operation], agents: Mapping[str, Agent]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an app."""
    commands = [kind for agent in agents.values() for kind in agent.commands.types.values() if kind is not None]
    types = list(dict.fromkeys([Error, AgentName, AnyCommand, *_types_in(operations), *commands]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema_of = dict(zip(types, schemas, strict=True))
    components[_name_of(schema_of[AgentName])] = {"enum": list(agents)}
    components[_name_of(schema_of[AnyCommand])] = {"anyOf": _command_schemas(agents, schema_of)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _camel(operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _describe(operation, path, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Statecast", "version": version("statecast")},
        "paths": paths,
        "components": {"schemas": components},
    }


def _types_in(operations: Sequence[Operation]) -> Iterable[Any]:
    for operation in operations:
        yield str  # of what is in a path
        yield from operation.query.values()
        yield from (kind for kind in (operation.body,) if kind not in (None, ANY_FILE))
        yield from (reply.type for reply in operation.replies.values() if reply.type is not None)


def _name_of(reference: Mapping[str, str]) -> str:
    """Return the name of the component that a schema refers to; it is longer where two types have the same."""
    return reference["$ref"].rpartition("/")[2]


def _command_schemas(agents: Mapping[str, Agent], schema_of: Mapping[Any, Any]) -> list[Any]:
    found: list[Any] = []
    for agent in agents.values():
        untyped = agent.commands.json_schema()
        for name, kind in agent.commands.types.items():
            schema = untyped[name] if kind is None else schema_of[kind]
            if schema not in found:
                found.append(schema)
    return found


def _describe(operation: Operation, path: str, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": schema_of[str]}
        for name in re.findall(r"{(\w+)}", path)
    ]
    in_query = [{"name": name, "in": "query", "schema": schema_of[kind]} for name, kind in operation.query.items()]
    described: dict[str, Any] = {"summary": operation.summary, "parameters": in_path + in_query}
    if operation.body is not None:
        content = {ANY_FILE: {}} if operation.body == ANY_FILE else {JSON: {"schema": schema_of[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    refused = Reply(Error, "Refused; nothing happened")
    replies = {"4XX": refused, "503": refused} | {str(status): reply for status, reply in operation.replies.items()}
    described["responses"] = {status: _response(replies[status], schema_of) for status in sorted(replies)}
    return described


def _response(reply: Reply, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {} if reply.type is None else {JSON: {"schema": schema_of[reply.type]}}
    for media, holds in reply.media.items():
        content[media] = {} if media == ANY_FILE else {"schema": {**schema_of[str], "description": holds}}
    return {"description": reply.meaning, **({"content": content} if content else {})}


def _camel(path: str) -> str:
    """Return a path with the names of its parameters in camelCase, such as `{threadId}`."""
    return re.sub(r"_([a-z])(?=\w*})", lambda found: found[1].upper(), path)
