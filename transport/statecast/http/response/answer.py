"""Answers to conversations: accepting what is new, and following the answer."""

from __future__ import annotations

import msgspec

from statecast.http.request.caller import Caller
from statecast.http.service import Service
from statecast.protocol.messages.conversation import Conversation
from statecast.protocol.messages.projection import Projection
from statecast.threads import AnyRun, OnDisconnect, Posted, Submission, Thread, ThreadGone, check_built_in, offload
from statecast_agents import Agent, Json, Request

from .turn import Turn, first_beside, first_turn, next_turn, queued_run

__all__ = ["Answer", "converse", "headers_of", "join"]


class Answer(msgspec.Struct, frozen=True):
    """An accepted conversation: where its stream starts, and its projection."""

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
    """Submit what is new in a conversation, as commands.

    Args:
        service: What every endpoint needs.
        conversation: What was posted.
        agent: Of a thread that is new; one that is known has its own.
        caller: Who sends the request.
        thread: That the conversation names; None if it is not there yet.
        on_disconnect: What a lost connection does to the run; None: what the app says.
        kind: What the answer's projection is to be.

    Raises:
        RequestError: `agent_mismatch`, where the request names another agent than the thread's; as `Hub.submit`.
    """
    while True:
        try:
            return await _converse(service, conversation, agent, caller, thread, on_disconnect, kind)
        except ThreadGone:  # it was deleted meanwhile: the conversation begins a new one
            assert conversation.thread_id is not None, "it had a name"
            thread = await service.hub.known(conversation.thread_id, owner=caller.owner)


async def _converse(
    service: Service,
    conversation: Conversation,
    agent: Agent,
    caller: Caller,
    thread: Thread | None,
    on_disconnect: OnDisconnect | None,
    kind: type[Projection],
) -> Answer:
    hub = service.hub
    thread_id = conversation.thread_id
    if thread is None:
        turn = await offload(conversation.size, first_turn, conversation, agent, first_beside(conversation, agent))
        commands = turn.new.commands
    else:
        if conversation.agent is not None:
            await hub.assign(thread, agent)
        agent = thread.agent
        turn = await next_turn(conversation, thread)
        if not turn.new.commands:
            return _joined(thread, turn, turn.new.answers, kind)
        behind = None if agent.messages is None or turn.new.replaces else queued_run(thread, turn)
        if behind is not None:
            await hub.registry.wait_stored()  # the first try may not be kept yet
            return _queued_answer(thread, behind, turn, kind)
        commands = turn.new.commands
    active = None if thread is None else thread.active
    await offload(conversation.size, check_built_in, agent, commands)
    posted = Posted(
        agent=agent,
        commands=commands,
        thread_id=thread_id,
        claim=turn.claim,
        since=turn.since,
        owner=caller.owner,
        user=caller.user,
        trace=caller.trace,
        request=_request_for(agent, conversation.request),
        on_disconnect=on_disconnect or service.on_disconnect,
        # Whoever has the answer made anew, or says something else instead, has given up the run that is under way.
        policy="interrupt" if turn.new.replaces and agent.policy == "enqueue" else None,
        says_again=thread is not None and conversation.means in ("either", "cut"),
    )
    accepted = await hub.submit(posted)
    if accepted.run is None and commands:  # a retry of what was said, and answered
        return _joined(accepted.thread, turn, turn.index_of(commands, accepted.thread), kind)
    begun = accepted.run is None or accepted.run is active  # it was handed to a run that is under way
    size = turn.size if begun else 0
    projection = await offload(size, _projection_from, accepted, turn, kind, begun)
    return Answer(accepted, projection)


def _projection_from(accepted: Submission, turn: Turn, kind: type[Projection], begun: bool) -> Projection:
    """Return the projection of a stream that starts where the turn was accepted."""
    base: Json | msgspec.UnsetType = msgspec.UNSET
    if not accepted.snapshot:
        base = turn.state if isinstance(turn.claim, msgspec.UnsetType) else msgspec.json.decode(turn.claim)
    return kind(
        accepted.thread.agent.messages,
        run_id=accepted.run_id,
        base=base,
        claim=turn.client_state,
        begun=begun,
        client_copy=turn.client_copy,
    )


def join(thread: Thread, *, kind: type[Projection] = Projection) -> Answer:
    """Join the answer to the user's last message, from its start."""
    return _joined(thread, None, None, kind)


def _joined(thread: Thread, turn: Turn | None, after: int | None, kind: type[Projection]) -> Answer:
    """Show the answer to a message of the user, and what is still to come of it.

    Args:
        thread: The thread.
        turn: What the client posted; None: nothing.
        after: Where in the thread the last message is that the client has of the user; None: it is the thread's last.
            What other messages led to is not shown.
        kind: What the answer's projection is to be.
    """
    run, latest = thread.active, thread.run
    if turn is not None and after is not None and turn.is_followed(after, thread):
        run = latest = None
    run_id = None if latest is None else latest.id
    accepted = Submission(
        thread=thread, run=run, run_id=run_id, revision=0 if run is None else run.start, snapshot=True
    )
    projection = kind(
        thread.agent.messages,
        run_id=run_id,
        claim=msgspec.UNSET if turn is None else turn.client_state,
        client_copy=None if turn is None else turn.client_copy,
        after=after,
    )
    return Answer(accepted, projection)


def _queued_answer(thread: Thread, run: AnyRun, turn: Turn, kind: type[Projection]) -> Answer:
    """Show the answer of a run that has not begun, from its start."""
    accepted = Submission(thread=thread, run=run, run_id=run.id, revision=run.start, snapshot=True)
    projection = kind(thread.agent.messages, run_id=run.id, claim=turn.client_state, client_copy=turn.client_copy)
    return Answer(accepted, projection)


def headers_of(accepted: Submission) -> list[tuple[bytes, bytes]]:
    """Return the headers that name the thread, the place and the run of a response."""
    headers = [(b"statecast-thread-id", accepted.thread.id.encode())]
    headers.append((b"statecast-cursor", str(accepted.cursor).encode()))
    if accepted.run_id is not None:
        headers.append((b"statecast-run-id", accepted.run_id.encode()))
    return headers


def _request_for(agent: Agent, request: Request) -> Request:
    if agent.accept_base_url:
        return request
    return msgspec.structs.replace(request, config=msgspec.structs.replace(request.config, base_url=None))
