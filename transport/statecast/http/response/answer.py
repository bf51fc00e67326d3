"""Streams for clients that hold the messages themselves: a conversation in, the growth of its answer out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from statecast.http.request.caller import Caller
from statecast.http.service import Service
from statecast.protocol.json_checks import check_values
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.conversation import Conversation, NewTurn, PostedMessage
from statecast.protocol.messages.projection import Projection, items_in, without
from statecast.threads import (
    Execution,
    OnDisconnect,
    Posted,
    Submission,
    Thread,
    first_state,
    offload,
    was_said,
    with_messages,
)
from statecast_agents import AddMessage, Agent, Json, Request

__all__ = ["Answer", "converse", "headers_of", "join"]


class Answer(msgspec.Struct, frozen=True):
    """An accepted conversation: where its stream starts, and what it shows."""

    accepted: Submission
    projection: Projection


async def converse(
    service: Service,
    conversation: Conversation,
    agent: Agent,
    caller: Caller,
    thread: Thread | None,
    *,
    on_disconnect: OnDisconnect | None = None,
    kind: type[Projection] = Projection,
) -> Answer:
    """Accept what is new in a conversation, as commands.

    Args:
        service: What every endpoint needs.
        conversation: What was posted.
        agent: Of a thread that is new; one that is known has its own.
        caller: Who sends the request.
        thread: That the conversation names; None if it is not there yet.
        on_disconnect: What a lost connection does to the run; None: what the app says.
        kind: What the answer's projection is to be.

    Raises:
        Refusal: 409 `agent_mismatch`, where the request names another agent than the thread's; as `Hub.submit`.
    """
    hub = service.hub
    thread_id = conversation.thread_id
    claim: bytes | msgspec.UnsetType
    if thread is None:
        state = _begins(conversation, agent)
        claim, asked = await offload(conversation.size, _first, conversation, agent, state)
        client_copy = await offload(conversation.size, conversation.client_copy)
    else:
        if conversation.agent is not None:
            hub.entrust(thread, agent)
        agent = thread.agent
        claim = thread.snapshot()[1]
        is_written = thread.run is None and not thread.inbox
        size = max(len(claim), conversation.size)
        conversation, ours, asked, client_copy = await offload(size, _asked, conversation, claim, agent, is_written)
        if not asked.commands:
            return join(thread, conversation, after=asked.answers, kind=kind, client_copy=client_copy)
        behind = None if ours is None or asked.replaces else _queued(thread, conversation, ours)
        if behind is not None:
            await hub.registry.settle()  # the first try may not be kept yet
            return _shown(_going(thread, behind), conversation, kind, client_copy)
        if conversation.means in ("either", "cut"):
            asked = msgspec.structs.replace(asked, commands=[_said_anew(thread, one) for one in asked.commands])
    active = None if thread is None else thread.active
    commands = await offload(conversation.size, _checked, asked.commands)
    posted = Posted(
        agent=agent,
        commands=commands,
        thread_id=thread_id,
        claim=claim,
        owner=caller.owner,
        user=caller.user,
        request=_request_for(agent, conversation.request),
        on_disconnect=on_disconnect or service.on_disconnect,
        # Whoever has the answer made anew, or says something else instead, has given up the run that is under way.
        policy="interrupt" if asked.replaces and agent.policy == "enqueue" else None,
    )
    accepted = await hub.submit(posted)
    if accepted.run is None and asked.commands:  # a retry of what was said, and answered
        return join(
            accepted.thread,
            conversation,
            after=_place(accepted.thread, asked.commands),
            kind=kind,
            client_copy=client_copy,
        )
    base = None if accepted.snapshot or isinstance(claim, msgspec.UnsetType) else claim
    make = partial(
        kind,
        agent.messages,
        run_id=accepted.run_id,
        base=base,
        claim=_known(conversation),
        begun=accepted.run is None or accepted.run is active,  # it was handed to a run that is under way
        client_copy=client_copy,
    )
    return Answer(accepted, await offload(len(base or b""), make))


def join(
    thread: Thread,
    conversation: Conversation | None = None,
    *,
    after: int | None = None,
    kind: type[Projection] = Projection,
    client_copy: ClientCopy | None = None,
) -> Answer:
    """Show the answer to the user's last message, and what is still to come of it.

    Args:
        thread: The thread.
        conversation: What the client has; None: nothing.
        after: Where in the thread the last message is that the client has of the user. What other messages led to is
            not shown.
        kind: What the answer's projection is to be.
        had: What the client has of the answer.
    """
    run, latest = thread.active, thread.run
    if after is not None and _has_gone_on(thread, after):
        run = latest = None
    run_id = None if latest is None else latest.id
    accepted = Submission(
        thread=thread, run=run, run_id=run_id, revision=0 if run is None else run.start, snapshot=True
    )
    projection = kind(
        thread.agent.messages,
        run_id=run_id,
        claim=msgspec.UNSET if conversation is None else _known(conversation),
        client_copy=client_copy,
        after=after,
    )
    return Answer(accepted, projection)


def headers_of(accepted: Submission) -> list[tuple[bytes, bytes]]:
    """Return the headers that name the thread, the place and the run of a response."""
    headers = [(b"statecast-thread-id", accepted.thread.id.encode())]
    headers.append((b"statecast-cursor", str(accepted.cursor).encode()))
    if accepted.run_id is not None:
        headers.append((b"statecast-run-id", accepted.run_id.encode()))
    return headers


def _checked(commands: Sequence[dict[str, Json]]) -> list[bytes]:
    """Return commands as JSON.

    Raises:
        Refusal: 422 `number_out_of_range` or `forbidden_key`.
    """
    encoded = [msgspec.json.encode(command) for command in commands]
    for text in encoded:
        check_values(text)
    return encoded


def _said_anew(thread: Thread, command: dict[str, Json]) -> dict[str, Json]:
    """Return a command; a message that the thread has dropped since, its client has said again, as another one."""
    message = command.get("message")
    id = message.get("id") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(id, str) or id == command.get("sourceId"):
        return command
    if not was_said(thread, id):
        return command
    items = items_in(_decoded(thread.snapshot()[1]), thread.agent.messages)
    if any(isinstance(item, dict) and item.get("id") == id for item in items):
        return command
    return {**command, "message": {name: value for name, value in message.items() if name != "id"}}


def _queued(thread: Thread, conversation: Conversation, ours: Sequence[Json]) -> Execution | None:
    """Return the run that waits with the conversation's last message; None if that is new."""
    runs = [run for run in (thread.active, *thread.inbox) if run is not None and not run.begun]
    waiting = [
        (run, PostedMessage(role="user", parts=command.message.parts, id=command.message.id or None))
        for run in runs
        for command in run.batch.commands
        if isinstance(command, AddMessage) and command.source_id is None
    ]
    at = conversation.queued(ours, [message for _, message in waiting])
    return None if at is None else waiting[at][0]


def _going(thread: Thread, run: Execution) -> Submission:
    return Submission(thread=thread, run=run, run_id=run.id, revision=run.start, snapshot=True)


def _shown(
    accepted: Submission, conversation: Conversation, kind: type[Projection], client_copy: ClientCopy | None
) -> Answer:
    """Show the answer of a run from its start."""
    claim = _known(conversation)
    path = accepted.thread.agent.messages
    return Answer(accepted, kind(path, run_id=accepted.run_id, claim=claim, client_copy=client_copy))


def _place(thread: Thread, commands: Sequence[Mapping[str, Any]]) -> int | None:
    """Return where in a thread the last message is that commands say again; None if it has it no longer."""
    said = [command["message"].get("id") for command in commands if "message" in command]
    items = items_in(_decoded(thread.snapshot()[1]), thread.agent.messages)
    known = [at for at, item in enumerate(items) if isinstance(item, dict) and said and item.get("id") == said[-1]]
    return known[-1] if known else None


def _has_gone_on(thread: Thread, after: int) -> bool:
    """Whether the user has said something since the message at `after`."""
    items = items_in(_decoded(thread.snapshot()[1]), thread.agent.messages)
    return any(isinstance(item, dict) and item.get("role") == "user" for item in items[after + 1 :])


def _request_for(agent: Agent, request: Request) -> Request:
    if agent.accept_base_url:
        return request
    return msgspec.structs.replace(request, config=msgspec.structs.replace(request.config, base_url=None))


def _begins(conversation: Conversation, agent: Agent) -> Json:
    """Return the state that a new thread has beside its messages."""
    state: Json = conversation.state
    return state if isinstance(state, dict) and state else first_state(agent)


def _first(conversation: Conversation, agent: Agent, state: Json) -> tuple[bytes | msgspec.UnsetType, NewTurn]:
    """Return the state that a new thread is to have, as a claim, and what is asked of it."""
    messages, asked = conversation.first()
    if conversation.state is not msgspec.UNSET:
        check_values(msgspec.json.encode(conversation.state))
    if agent.messages is None or not agent.adopt:
        claim = conversation.state
        return (claim if claim is msgspec.UNSET else msgspec.json.encode(claim)), asked
    return msgspec.json.encode(with_messages(state, agent.messages, messages)), asked


def _asked(
    conversation: Conversation, claim: bytes, agent: Agent, is_written: bool
) -> tuple[Conversation, Sequence[Json] | None, NewTurn, ClientCopy | None]:
    """Return a conversation for a thread, the thread's messages, what it asks of that, and what its client has.

    Args:
        conversation: As it was posted.
        claim: The thread's state.
        agent: The thread's.
        is_written: Whether clients have written the messages, and no agent has answered yet.
    """
    state = _decoded(claim)
    ours = None if agent.messages is None else items_in(state, agent.messages)
    if ours and is_written:
        conversation = conversation.on_written(ours)
    return conversation, ours, conversation.asks(ours, without(state, agent.messages)), conversation.client_copy()


def _known(conversation: Conversation) -> Json | msgspec.UnsetType:
    """Return what the client need not be told of the state beside the messages."""
    return conversation.state if conversation.keeps_state else msgspec.UNSET


def _decoded(state: bytes | msgspec.UnsetType) -> Json:
    return None if isinstance(state, msgspec.UnsetType) else msgspec.json.decode(state)
