"""A turn: what a conversation asks of a thread, as the thread was when the two were compared.

The state of a known thread is decoded once, beside the event loop: the conversation is compared with what was decoded,
the run's nodes are made of it, and the stream's projection begins with it. It is only read.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.protocol import Cursor
from statecast.protocol.json_values import check_values
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.conversation import Conversation, NewCommand, NewTurn, PostedMessage
from statecast.protocol.messages.state_messages import id_of, items_in, role_of, without
from statecast.threads import AnyRun, Thread, first_state, offload, with_messages
from statecast_agents import AddMessage, Agent, Json

__all__ = ["Turn", "first_beside", "first_turn", "next_turn", "queued_run"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation asks of a thread."""

    conversation: Conversation
    new: NewTurn
    client_copy: ClientCopy | None
    claim: bytes | msgspec.UnsetType = msgspec.UNSET  #: the state that a new thread is to have
    since: Cursor | None = None  #: where a known thread was; None: it is new
    state: Json = None  #: the known thread's, there
    size: int = 0  #: bytes of that as JSON, about

    @property
    def client_state(self) -> Json | msgspec.UnsetType:
        """The state beside the messages that the client still has while it reads the answer."""
        return self.conversation.state if self.conversation.keeps_state else msgspec.UNSET

    def messages(self, thread: Thread) -> Sequence[Json]:
        """Return the thread's messages now: as they were read, unless the state has changed."""
        same = self.since is not None and thread.is_unchanged(self.since)
        return items_in(self.state if same else thread.document.root, thread.agent.messages)

    def index_of(self, commands: Sequence[NewCommand], thread: Thread) -> int | None:
        """Return where the thread has the last message that commands add; None if it has dropped it."""
        ids = [command.message.id or None for command in commands if isinstance(command, AddMessage)]
        found = [at for at, item in enumerate(self.messages(thread)) if ids and id_of(item) == ids[-1]]
        return found[-1] if found else None

    def is_followed(self, index: int, thread: Thread) -> bool:
        """Return whether the thread has a message of the user after an index."""
        return any(role_of(item) == "user" for item in self.messages(thread)[index + 1 :])


def first_beside(conversation: Conversation, agent: Agent) -> Json:
    """Return a new thread's state without its messages."""
    state: Json = conversation.state
    return state if isinstance(state, dict) and state else first_state(agent)


def first_turn(conversation: Conversation, agent: Agent, beside: Json) -> Turn:
    """Return what begins a new thread, whose state is `beside` and the messages before the new one."""
    messages, new = conversation.first()
    if conversation.state is not msgspec.UNSET:
        check_values(msgspec.json.encode(conversation.state))
    claim: bytes | msgspec.UnsetType = msgspec.UNSET
    if agent.messages is not None and agent.adopt:
        claim = msgspec.json.encode(with_messages(beside, agent.messages, messages))
    elif conversation.state is not msgspec.UNSET:
        claim = msgspec.json.encode(conversation.state)
    return Turn(conversation=conversation, new=new, client_copy=conversation.client_copy(), claim=claim)


async def next_turn(conversation: Conversation, thread: Thread) -> Turn:
    """Return what a conversation asks of a known thread."""
    thread.flush()
    since = Cursor(thread.epoch, thread.log.revision)
    is_written = thread.run is None and not thread.inbox
    document = thread.document
    text = document.encode() if document.rests else b""
    state = None if text else document.plain()
    size = max(thread.size, conversation.size)
    turn = await offload(size, _turn_on, conversation, thread.agent, text, state, thread.size, since, is_written)
    if text and turn.new.commands:
        document.prepare(text, turn.state)
    return turn


def _turn_on(
    conversation: Conversation, agent: Agent, text: bytes, state: Json, size: int, since: Cursor, is_written: bool
) -> Turn:
    """Return what a conversation asks of a thread.

    Args:
        conversation: As it was posted.
        agent: The thread's.
        text: The thread's state, if it rests.
        state: The thread's state, if it does not.
        size: Bytes of it.
        since: Where the thread has that.
        is_written: Whether clients have written the messages, and no agent has answered yet.
    """
    if text:
        state = msgspec.json.decode(text)
    thread_messages = None if agent.messages is None else items_in(state, agent.messages)
    if thread_messages and is_written:
        conversation = conversation.on_written(thread_messages)
    return Turn(
        conversation=conversation,
        new=conversation.new_turn(thread_messages, without(state, agent.messages)),
        client_copy=conversation.client_copy(),
        since=since,
        state=state,
        size=size,
    )


def queued_run(thread: Thread, turn: Turn) -> AnyRun | None:
    """Return the queued run that has the conversation's last message; None if the message is new."""
    runs = [run for run in thread.queue.live if not run.begun]
    waiting = [
        (run, PostedMessage(role="user", parts=command.message.parts, id=command.message.id or None))
        for run in runs
        for command in run.batch.commands
        if isinstance(command, AddMessage) and command.source_id is None
    ]
    thread_messages = items_in(turn.state, thread.agent.messages)
    at = turn.conversation.queued(thread_messages, [message for _, message in waiting])
    return None if at is None else waiting[at][0]
