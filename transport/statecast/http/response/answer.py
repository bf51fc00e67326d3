"""Streams for clients that hold the messages themselves: a conversation in, the growth of its answer out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.http.request.caller import Caller
from statecast.http.service import Service
from statecast.protocol import Cursor
from statecast.protocol.json_checks import check_values
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.conversation import Conversation, NewCommand, NewTurn, PostedMessage
from statecast.protocol.messages.projection import Projection
from statecast.protocol.messages.state_messages import id_of, items_in, role_of, without
from statecast.threads import (
    Execution,
    OnDisconnect,
    Posted,
    Submission,
    Thread,
    ThreadGone,
    check_built_in,
    first_state,
    offload,
    was_said,
    with_messages,
)
from statecast_agents import AddMessage, Agent, Document, Json, Request

__all__ = ["Answer", "converse", "headers_of", "join"]


class Answer(msgspec.Struct, frozen=True):
    """An accepted conversation: where its stream starts, and what it shows."""

    accepted: Submission
    projection: Projection


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation asks of a thread, as that was when it was read."""

    conversation: Conversation
    asked: NewTurn
    client_copy: ClientCopy | None
    claim: bytes | msgspec.UnsetType = msgspec.UNSET  #: the state that a new thread is to have
    since: Cursor | None = None  #: where a known thread was; None: it is new
    state: Json = None  #: the known thread's, there
    size: int = 0  #: bytes of that, as JSON


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
        turn = await offload(conversation.size, _first_turn, conversation, agent, _begins(conversation, agent))
        commands = turn.asked.commands
    else:
        if conversation.agent is not None:
            hub.entrust(thread, agent)
        agent = thread.agent
        turn = await _next_turn(conversation, thread)
        if not turn.asked.commands:
            return _joined(thread, turn, turn.asked.answers, kind)
        behind = None if agent.messages is None or turn.asked.replaces else _queued(thread, turn)
        if behind is not None:
            await hub.registry.settle()  # the first try may not be kept yet
            return _shown(_going(thread, behind), turn, kind)
        commands = turn.asked.commands
        if conversation.means in ("either", "cut"):
            commands = [_said_anew(thread, turn, command) for command in commands]
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
        request=_request_for(agent, conversation.request),
        on_disconnect=on_disconnect or service.on_disconnect,
        # Whoever has the answer made anew, or says something else instead, has given up the run that is under way.
        policy="interrupt" if turn.asked.replaces and agent.policy == "enqueue" else None,
    )
    accepted = await hub.submit(posted)
    if accepted.run is None and commands:  # a retry of what was said, and answered
        return _joined(accepted.thread, turn, _place(accepted.thread, turn, commands), kind)
    begun = accepted.run is None or accepted.run is active  # it was handed to a run that is under way
    size = turn.size if begun else 0
    projection = await offload(size, _projection_from, accepted, turn, kind, begun)
    return Answer(accepted, projection)


def _projection_from(accepted: Submission, turn: _Turn, kind: type[Projection], begun: bool) -> Projection:
    """Return the projection of a stream that starts where the turn was accepted."""
    base: Json | msgspec.UnsetType = msgspec.UNSET
    if not accepted.snapshot:
        base = turn.state if isinstance(turn.claim, msgspec.UnsetType) else msgspec.json.decode(turn.claim)
    return kind(
        accepted.thread.agent.messages,
        run_id=accepted.run_id,
        base=base,
        claim=_known(turn.conversation),
        begun=begun,
        client_copy=turn.client_copy,
    )


def join(thread: Thread, *, kind: type[Projection] = Projection) -> Answer:
    """Show the answer to the user's last message, and what is still to come of it."""
    return _joined(thread, None, None, kind)


def _joined(thread: Thread, turn: _Turn | None, after: int | None, kind: type[Projection]) -> Answer:
    """Show the answer to a message of the user, and what is still to come of it.

    Args:
        thread: The thread.
        turn: What the client posted; None: nothing.
        after: Where in the thread the last message is that the client has of the user; None: it is the thread's last.
            What other messages led to is not shown.
        kind: What the answer's projection is to be.
    """
    run, latest = thread.active, thread.run
    if turn is not None and after is not None and _has_gone_on(thread, turn, after):
        run = latest = None
    run_id = None if latest is None else latest.id
    accepted = Submission(
        thread=thread, run=run, run_id=run_id, revision=0 if run is None else run.start, snapshot=True
    )
    projection = kind(
        thread.agent.messages,
        run_id=run_id,
        claim=msgspec.UNSET if turn is None else _known(turn.conversation),
        client_copy=None if turn is None else turn.client_copy,
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


def _said_anew(thread: Thread, turn: _Turn, command: NewCommand) -> NewCommand:
    """Return a command; a message that the thread has dropped since, its client has said again, as another one."""
    if not isinstance(command, AddMessage):
        return command
    id = command.message.id
    if not isinstance(id, str) or id == command.source_id or not was_said(thread, id):
        return command
    if any(id_of(item) == id for item in _messages_now(thread, turn)):
        return command
    return msgspec.structs.replace(command, message=msgspec.structs.replace(command.message, id=msgspec.UNSET))


def _queued(thread: Thread, turn: _Turn) -> Execution | None:
    """Return the run that waits with the conversation's last message; None if that is new."""
    runs = [run for run in thread.queue.live if not run.begun]
    waiting = [
        (run, PostedMessage(role="user", parts=command.message.parts, id=command.message.id or None))
        for run in runs
        for command in run.batch.commands
        if isinstance(command, AddMessage) and command.source_id is None
    ]
    ours = items_in(turn.state, thread.agent.messages)
    at = turn.conversation.queued(ours, [message for _, message in waiting])
    return None if at is None else waiting[at][0]


def _going(thread: Thread, run: Execution) -> Submission:
    return Submission(thread=thread, run=run, run_id=run.id, revision=run.start, snapshot=True)


def _shown(accepted: Submission, turn: _Turn, kind: type[Projection]) -> Answer:
    """Show the answer of a run from its start."""
    claim = _known(turn.conversation)
    path = accepted.thread.agent.messages
    return Answer(accepted, kind(path, run_id=accepted.run_id, claim=claim, client_copy=turn.client_copy))


def _messages_now(thread: Thread, turn: _Turn) -> Sequence[Json]:
    """Return the thread's messages: as the turn found them, unless they have changed."""
    same = turn.since is not None and thread.is_unchanged(turn.since)
    return items_in(turn.state if same else thread.document.root, thread.agent.messages)


def _place(thread: Thread, turn: _Turn, commands: Sequence[NewCommand]) -> int | None:
    """Return where in a thread the last message is that commands say again; None if it has it no longer."""
    said = [command.message.id or None for command in commands if isinstance(command, AddMessage)]
    items = _messages_now(thread, turn)
    known = [at for at, item in enumerate(items) if said and id_of(item) == said[-1]]
    return known[-1] if known else None


def _has_gone_on(thread: Thread, turn: _Turn, after: int) -> bool:
    """Whether the user has said something since the message at `after`."""
    items = _messages_now(thread, turn)
    return any(role_of(item) == "user" for item in items[after + 1 :])


def _request_for(agent: Agent, request: Request) -> Request:
    if agent.accept_base_url:
        return request
    return msgspec.structs.replace(request, config=msgspec.structs.replace(request.config, base_url=None))


def _begins(conversation: Conversation, agent: Agent) -> Json:
    """Return the state that a new thread has beside its messages."""
    state: Json = conversation.state
    return state if isinstance(state, dict) and state else first_state(agent)


def _first_turn(conversation: Conversation, agent: Agent, state: Json) -> _Turn:
    """Return the state that a new thread is to have, `state` beside its messages, and what is asked of it."""
    messages, asked = conversation.first()
    if conversation.state is not msgspec.UNSET:
        check_values(msgspec.json.encode(conversation.state))
    claim: bytes | msgspec.UnsetType = msgspec.UNSET
    if agent.messages is not None and agent.adopt:
        claim = msgspec.json.encode(with_messages(state, agent.messages, messages))
    elif conversation.state is not msgspec.UNSET:
        claim = msgspec.json.encode(conversation.state)
    return _Turn(conversation=conversation, asked=asked, client_copy=conversation.client_copy(), claim=claim)


async def _next_turn(conversation: Conversation, thread: Thread) -> _Turn:
    """Return what a conversation asks of a known thread, whose state is decoded once for that and for its run."""
    revision, text = thread.snapshot()
    since = Cursor(thread.epoch, revision)
    is_written = thread.run is None and not thread.inbox
    size = max(len(text), conversation.size)
    return await offload(size, _turn_on, conversation, thread.agent, thread.document, text, since, is_written)


def _turn_on(
    conversation: Conversation, agent: Agent, document: Document, text: bytes, since: Cursor, is_written: bool
) -> _Turn:
    """Return what a conversation asks of a thread.

    Args:
        conversation: As it was posted.
        agent: The thread's.
        document: The thread's, whose nodes are made if a run follows.
        text: The thread's state.
        since: Where the thread has that.
        is_written: Whether clients have written the messages, and no agent has answered yet.
    """
    state = msgspec.json.decode(text)
    ours = None if agent.messages is None else items_in(state, agent.messages)
    if ours and is_written:
        conversation = conversation.on_written(ours)
    asked = conversation.asks(ours, without(state, agent.messages))
    if asked.commands:
        document.prepare(text, state)
    return _Turn(
        conversation=conversation,
        asked=asked,
        client_copy=conversation.client_copy(),
        since=since,
        state=state,
        size=len(text),
    )


def _known(conversation: Conversation) -> Json | msgspec.UnsetType:
    """Return what the client need not be told of the state beside the messages."""
    return conversation.state if conversation.keeps_state else msgspec.UNSET
