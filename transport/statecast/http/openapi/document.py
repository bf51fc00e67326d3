"""The OpenAPI document: what is served, with the schemas of every agent's commands and state."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, get_args

from statecast.http.endpoints.events import Format
from statecast.http.endpoints.health import health_paths
from statecast.protocol import MESSAGE_PROTOCOLS, PROTOCOLS
from statecast_agents import Agent
from statecast_agents.agent import Policy

from .components import TEXT, file, get, json_content, post, responses
from .files import attachment_paths, cloud_file_paths
from .threads import cloud_paths, thread_paths

__all__ = ["describe_agents", "openapi"]

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": TEXT, "message": TEXT},
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}
_RUN = {
    "type": ["object", "null"],
    "properties": {"id": TEXT, "status": TEXT, "error": {"type": "object"}},
}


def describe_agents(agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return each agent's name, the JSON Schema of each of its commands, and that of its state (null: any JSON)."""
    return [
        {"name": name, "commands": agent.commands.json_schema(), "state": agent.state_type.json_schema()}
        for name, agent in agents.items()
    ]


def openapi(agents: Mapping[str, Agent], *, cloud: bool = False) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an app; `cloud`: with the cloud API."""
    definitions: dict[str, Any] = {"Error": _ERROR}
    commands: dict[str, Any] = {}
    for agent in describe_agents(agents):
        for name, schema in agent["commands"].items():
            commands[name] = _lift(schema, definitions)
    request = {
        "type": "object",
        "properties": {
            "commands": {"type": "array", "items": {"anyOf": list(commands.values())}},
            "state": {"description": "The state as the client knows it; left out: it knows none."},
            "threadId": {"type": ["string", "null"]},
            "system": TEXT,
            "tools": {"type": "object"},
            "callSettings": {"type": "object"},
            "config": {"type": "object"},
            "policy": {"enum": list(get_args(Policy))},
            "onDisconnect": {"enum": ["continue", "cancel"]},
            "protocol": {"enum": list(PROTOCOLS)},
            "agent": {"enum": list(agents)},
        },
    }
    protocol = {"name": "protocol", "in": "query", "schema": {"enum": list(PROTOCOLS)}}
    agent_name = {"name": "agent", "in": "query", "schema": {"enum": list(agents)}}
    thread_id = {"name": "threadId", "in": "path", "required": True, "schema": TEXT}
    thread_only = {"type": "object", "properties": {"threadId": TEXT, "runId": TEXT}, "required": ["threadId"]}
    state = {
        "type": "object",
        "properties": {"threadId": TEXT, "revision": {"type": "integer"}, "state": {}, "run": _RUN},
    }
    status = {"type": "object", "properties": {"threadId": TEXT, "isRunning": {"type": "boolean"}, "status": TEXT}}
    step = {"type": "object", "properties": {"op": TEXT, "path": TEXT, "from": TEXT, "value": {}}}
    patch = {"type": "array", "items": {**step, "required": ["op", "path"]}}
    event = {"type": "object", "properties": {"type": TEXT, "revision": {"type": "integer"}}, "required": ["type"]}
    form = {"name": "format", "in": "query", "schema": {"enum": list(get_args(Format))}}
    at = {"name": "revision", "in": "query", "schema": {"type": "integer"}}
    cursor = {"name": "cursor", "in": "query", "schema": TEXT}
    initial = {"type": "object", "properties": {"runId": TEXT, "state": {}}}
    paths = {
        "/assistant": {"post": post("Send commands, follow the run", request, _STREAM, [protocol, agent_name])},
        "/resume": {"post": post("Follow the active run again", thread_only, _STREAM, [protocol])},
        "/initial-state": {
            "post": post("The active run and the state now", thread_only, json_content(initial), empty=True)
        },
        "/cancel": {"post": post("Stop the active run", thread_only, json_content({"type": "object"}))},
        "/status/{threadId}": {"get": get("What a thread is doing", status, [thread_id])},
        "/threads/{threadId}/state": {
            "get": get("A thread's state", state, [thread_id, at]),
            "patch": post("Patch what clients may write", patch, json_content(state), [thread_id]),
        },
        "/threads/{threadId}/events": {"get": get("Follow a thread across its runs", event, [thread_id, form, cursor])},
        "/client.js": {"get": file("A client of a thread, as an ES module", "text/javascript")},
        "/client.d.ts": {"get": file("Its types", "application/typescript")},
        "/adapters.js": {"get": file("Adapters for assistant-ui's runtimes, as an ES module", "text/javascript")},
        "/adapters.d.ts": {"get": file("Their types", "application/typescript")},
        **_message_paths(agents),
        **thread_paths(),
        **attachment_paths(),
        **({**cloud_paths(), **cloud_file_paths()} if cloud else {}),
        "/agents": {"get": get("The agents, with the schemas of their commands and state", {"type": "object"})},
        **health_paths(),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Statecast", "version": version("statecast")},
        "paths": paths,
        "components": {"schemas": definitions},
    }


def _message_paths(agents: Mapping[str, Agent]) -> dict[str, Any]:
    """Return the paths of clients that hold the messages themselves, and make requests by hand or as OpenAI's do."""
    messages = {"type": "array", "items": {"type": "object"}}
    posted: dict[str, Any] = {
        "type": "object",
        "properties": {"messages": messages, "threadId": {"type": ["string", "null"]}, "agent": {"enum": list(agents)}},
        "required": ["messages"],
    }
    model = {"enum": list(agents)}
    completion = {
        "type": "object",
        "properties": {"messages": messages, "model": model, "stream": {"type": "boolean"}},
        "required": ["messages", "model"],
    }
    reply = {"type": "object", "properties": {"text": TEXT, "parts": {"type": "array"}}, "required": ["text", "parts"]}
    form = {"name": "form", "in": "query", "schema": {"enum": ["events", "content"]}}
    named = {"name": "model", "in": "path", "required": True, "schema": TEXT}
    text = {"text/plain": {"schema": TEXT}}
    events = {"text/event-stream": {"schema": TEXT}}
    run_input = {
        "type": "object",
        "properties": {"threadId": TEXT, "runId": TEXT, "messages": messages},
        "required": ["threadId", "runId", "messages"],
    }
    name = {"name": "agent", "in": "query", "schema": model}
    protocol = {"name": "protocol", "in": "query", "schema": {"enum": list(MESSAGE_PROTOCOLS)}}
    thread = {"name": "threadId", "in": "path", "required": True, "schema": TEXT}
    left = {"name": "onDisconnect", "in": "query", "schema": {"enum": ["continue", "cancel"]}}
    approvals = {"name": "approvals", "in": "query", "schema": {"type": "boolean"}}
    chat = {**posted, "properties": {**posted["properties"], "id": TEXT, "state": {}, "truncate": {"type": "boolean"}}}
    begun = {"summary": "The answer that is being made, from its start", "parameters": [thread, protocol, approvals]}
    return {
        "/chat": {
            "post": post(
                "Send a chat's messages, get the answer", chat, {**text, **events}, [protocol, name, left, approvals]
            )
        },
        "/chat/{threadId}/stream": {"get": {**begun, "responses": responses({**text, **events}, empty=True)}},
        "/ag-ui": {"post": post("AG-UI: post a RunAgentInput, get events", run_input, events, [name])},
        "/text": {"post": post("Send messages, get the text of the answer", posted, text)},
        "/sse": {"post": post("Send messages, get the answer as events", posted, events, [form])},
        "/json": {"post": post("Send messages, get the answer as a whole", posted, json_content(reply))},
        "/v1/chat/completions": {
            "post": post("OpenAI's chat completions", completion, {**json_content({"type": "object"}), **events})
        },
        "/v1/models": {"get": get("The agents, as models", {"type": "object"})},
        "/v1/models/{model}": {"get": get("An agent, as a model", {"type": "object"}, [named])},
    }


_STREAM = {
    "text/plain": {"schema": {"type": "string", "description": "data-stream: lines of `code:json`"}},
    "text/event-stream": {"schema": {"type": "string", "description": "assistant-transport: one chunk per event"}},
}


def _lift(schema: Any, definitions: dict[str, Any]) -> Any:
    """Move a schema's `$defs` into the document's components."""
    if isinstance(schema, dict):
        for name, definition in schema.get("$defs", {}).items():
            definitions[name] = _lift(definition, definitions)
        return {key: _lift(value, definitions) for key, value in schema.items() if key != "$defs"}
    if isinstance(schema, list):
        return [_lift(item, definitions) for item in schema]
    if isinstance(schema, str) and schema.startswith("#/$defs/"):
        return "#/components/schemas/" + schema.removeprefix("#/$defs/")
    return schema
