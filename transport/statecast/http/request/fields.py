"""Fields that all endpoints read from a request: protocol, agent, thread, policy, commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request as HTTPRequest
from starlette.types import Scope

from statecast.http.errors import InvalidIdempotencyKey, InvalidThreadId, UnknownAgent
from statecast.protocol import PROTOCOLS, Encoder
from statecast.protocol.errors import UnknownProtocol
from statecast.protocol.fields import chosen
from statecast.stores import Key
from statecast.threads import Hub, OnDisconnect, Posted, offload
from statecast_agents import Agent, CallSettings, Config, Request
from statecast_agents.agent import Policy

from .body import RequestBody
from .caller import Caller
from .headers import header_of

__all__ = [
    "check_thread_id",
    "named_agent",
    "posted_of",
    "protocol_of",
    "thread_id_of",
    "thread_key",
]

MAX_KEY: Final = 120  #: characters of an Idempotency-Key

_THREAD_ID: Final = re.compile(r"[A-Za-z0-9_.:~-]{1,128}")
_SPREAD: Final = tuple(
    field.encode_name for field in (*msgspec.structs.fields(CallSettings), *msgspec.structs.fields(Config))
)
_KNOWN: Final = frozenset(
    [
        "agent",
        "callSettings",
        "commands",
        "config",
        "onDisconnect",
        "parentId",
        "policy",
        "protocol",
        "ref",
        "runId",
        "state",
        "system",
        "threadId",
        "tools",
        "type",
    ]
) | set(_SPREAD)


def protocol_of(scope: Scope, body: RequestBody) -> Callable[[str | None], Encoder]:
    """Return the encoder of the protocol named in the query or the body, or the clients' default.

    Raises:
        RequestError: `unknown_protocol`.
    """
    name = _queried(scope, "protocol") or body.get("protocol", str, None)
    return chosen(name, PROTOCOLS, "a protocol", UnknownProtocol)


def agent_of(scope: Scope, body: RequestBody, hub: Hub) -> Agent:
    """Return the agent named in the query or the body, or the first agent.

    Raises:
        RequestError: `unknown_agent`.
    """
    return named_agent(_queried(scope, "agent") or body.get("agent", str, None), hub)


def named_agent(name: str | None, hub: Hub) -> Agent:
    """Return the agent of a name, or the first agent for None.

    Raises:
        RequestError: `unknown_agent`.
    """
    return chosen(name or None, hub.agents, "an agent", UnknownAgent)


def thread_id_of(body: RequestBody) -> str | None:
    """Return the thread's id; None if the request has none.

    Raises:
        RequestError: `invalid_thread_id`.
    """
    thread_id: str | None = body.get("threadId", str, None)
    if thread_id is not None:
        check_thread_id(thread_id)
    return thread_id


def check_thread_id(thread_id: str) -> None:
    """Check the form of a thread's id.

    Raises:
        RequestError: `invalid_thread_id`.
    """
    if _THREAD_ID.fullmatch(thread_id) is None:
        message = f'expected a thread id of 1 to 128 characters out of A-Z a-z 0-9 _ . : ~ -, got "{thread_id[:140]}"'
        raise InvalidThreadId(message)


def thread_key(request: HTTPRequest, caller: Caller) -> Key:
    """Return the key of the thread that the path names, among those of the caller.

    Raises:
        RequestError: `invalid_thread_id`.
    """
    thread_id: str = request.path_params["thread_id"]
    check_thread_id(thread_id)
    return Key(caller.owner, thread_id)


def on_disconnect_of(body: RequestBody, default: OnDisconnect) -> OnDisconnect:
    """Return what happens to the run when the connection is lost.

    Raises:
        RequestError: `invalid_request`.
    """
    choice: OnDisconnect = body.get("onDisconnect", OnDisconnect, default)
    return choice


def idempotency_key_of(scope: Scope) -> str | None:
    """Return what a request is recognized by when it is sent again; None: nothing.

    Raises:
        RequestError: `invalid_idempotency_key`.
    """
    key = header_of(scope, b"idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        message = f"expected an Idempotency-Key of 1 to {MAX_KEY} characters, got {len(key)}"
        raise InvalidIdempotencyKey(message, limit=MAX_KEY)
    return key


async def posted_of(
    scope: Scope, body: RequestBody, hub: Hub, caller: Caller, *, thread_id: str | None, on_disconnect: OnDisconnect
) -> Posted:
    """Return the parts of a request that concern a thread.

    Args:
        scope: The request's.
        body: Its body.
        hub: For the agents.
        caller: Who sends it.
        thread_id: The thread that it names.
        on_disconnect: What a lost connection does to the run where the body says nothing of it.

    Raises:
        RequestError: `unknown_agent`; 422 for fields of the wrong kind.
    """
    agent = agent_of(scope, body, hub)
    key = idempotency_key_of(scope)
    commands, request = await offload(body.size_without("state"), _said_in, body, agent)
    return Posted(
        agent=agent,
        commands=commands,
        thread_id=thread_id,
        claim=body.raw("state"),
        owner=caller.owner,
        user=caller.user,
        trace=caller.trace,
        request=request,
        on_disconnect=on_disconnect_of(body, on_disconnect),
        policy=policy_of(body),
        key=key if scope["type"] == "http" else None,
    )


def _said_in(body: RequestBody, agent: Agent) -> tuple[list[msgspec.Raw], Request]:
    """Return a request's commands, still text, and what `request_of` returns."""
    return body.list("commands"), request_of(body, agent)


def policy_of(body: RequestBody) -> Policy | None:
    """Return the requested policy; None: the agent's.

    Raises:
        RequestError: `invalid_request`.
    """
    policy: Policy | None = body.get("policy", Policy, None)
    return policy


def request_of(body: RequestBody, agent: Agent) -> Request:
    """Return the request's fields other than commands and state.

    `callSettings` and `config` are also spread at the top level by older clients; the nested ones count, and the
    spread ones are not passed on, so that no key ends up among the app's own fields.

    Raises:
        RequestError: `invalid_request`, naming the field.
    """
    config: Config = body.get("config", Config, Config())
    if not agent.accept_base_url and config.base_url is not None:
        config = msgspec.structs.replace(config, base_url=None)
    return Request(
        system=body.get("system", str, None),
        tools=body.get("tools", dict[str, Any], {}),
        call_settings=body.get("callSettings", CallSettings, CallSettings()),
        config=config,
        parent_id=body.get("parentId", str, None),
        extra=body.others(_KNOWN),
    )


def _queried(scope: Scope, name: str) -> str | None:
    """Return a parameter of the query; None if it has none of this name."""
    query = scope["query_string"]
    return QueryParams(query).get(name) if query else None
