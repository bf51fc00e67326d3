"""Rules that a posted batch must meet before it is accepted. Everything here only checks and changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol import Cursor
from statecast.protocol.json_shape import check_nesting
from statecast.protocol.json_values import check_values
from statecast.protocol.messages.state_messages import id_of
from statecast.stores import BatchApplied, SharedChange
from statecast_agents import MAX_DEPTH, AddMessage, AddToolResult, Agent, Answer, Messages, Request
from statecast_agents.agent import Policy
from statecast_agents.answering import answered_call, answers_in, check_answers
from statecast_agents.commands import AnyCommand, check_command
from statecast_agents.message_commands import check_commands
from statecast_agents.pending import Pending

from .claims import Claim
from .errors import CommandIdReused, NotListening, PolicyNotAvailable, RoleNotAllowed, RunActive, TooManyCommands
from .limits import Limits
from .runs.batch import OnDisconnect, says_instead
from .runs.failures import AgentsCode
from .thread import Thread

__all__ = [
    "Posted",
    "ThreadGone",
    "check_built_in",
    "check_messages",
    "check_policy",
    "check_questions",
    "chosen_policy",
    "decode_commands",
    "delivery_marks",
    "is_applied",
    "is_repeated",
    "marks_of",
    "patch_mark",
    "remember",
    "remember_mark",
    "rewind_mark",
    "unapplied",
    "without_spent_id",
]

#: In place of a run's id: something was applied without one.
NO_RUN: Final = ""

#: Containers around a tool's result in the state, beyond those that lead to the messages and those of its command.
DEEPER: Final = 3


class ThreadGone(Exception):
    """The thread of `Posted.since` is there no longer: it was deleted while the batch was on its way."""


def _nothing(submission: object) -> Sequence[SharedChange]:
    return ()


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a request that concern a thread."""

    agent: Agent
    #: as JSON, which the agent's set reads; or built-in ones, see `check_built_in`, or those of another process
    commands: Sequence[bytes | msgspec.Raw | AnyCommand] = ()
    thread_id: str | None = None  #: None: a thread of its own that nobody can name
    claim: Claim = msgspec.UNSET  #: the client's state
    since: Cursor | None = None  #: instead of a claim, where the thread was that the client is taken to have seen
    owner: str | None = None
    user: Any = None  #: who posts, as the app's `identify` returned them
    request: Request = Request()
    on_disconnect: OnDisconnect = "continue"
    policy: Policy | None = None  #: None: the agent's
    key: str | None = None  #: stands for the ids of commands that have none, see `decode_commands`
    trace: dict[str, str] = {}  #: headers of the request that name its trace
    applied: bool = False  #: whether built-in commands are in the messages already, since an earlier run has begun
    says_again: bool = False  #: whether a message with the id of one that the thread has dropped is another message
    #: of the run that the batch begins, so that it is known when it is posted again; None: it never is
    run_id: str | None = None
    #: called with the `Submission`, at the moment of acceptance; what it returns is stored together with the batch
    taken: Callable[[Any], Sequence[SharedChange]] = _nothing


def decode_commands(posted: Posted, limits: Limits) -> list[AnyCommand]:
    """Decode the commands of a batch. A command without an id gets one from the request's idempotency key, if any.

    Raises:
        RequestError: `too_many_commands`, `unknown_command`, `invalid_command`, `role_not_allowed`; `agent_failed`.
    """
    limit = limits.commands
    if len(posted.commands) > limit:
        message = f"expected at most {limit} commands, got {len(posted.commands)}"
        raise TooManyCommands(message, limit=limit)
    with AgentsCode("reading commands"):
        texts = [command for command in posted.commands if isinstance(command, bytes | msgspec.Raw)]
        read = posted.agent.commands.decode(texts)
    for command, text in zip(read, texts, strict=True):
        _check_nesting(posted.agent, command, bytes(text))
    left = iter(read)
    commands = [next(left) if isinstance(command, bytes | msgspec.Raw) else command for command in posted.commands]
    for command in commands:
        if isinstance(command, AddMessage) and command.message.role != "user" and not posted.agent.allow_assistant:
            message = f'expected a message of the user, got one of the "{command.message.role}"'
            raise RoleNotAllowed(message)
    if posted.key is None:
        return commands
    return [
        msgspec.structs.replace(command, id=f"{posted.key}/{index}") if command.id is None else command
        for index, command in enumerate(commands)
    ]


def check_built_in(agent: Agent, commands: Sequence[AddMessage | AddToolResult | Answer | bytes]) -> None:
    """Check commands that are not from JSON as the body's reader and `decode_commands` check those that are.

    Raises:
        RequestError: `number_out_of_range`, `forbidden_key`, `invalid_command`, `too_deep`.
    """
    for command in commands:
        text = command if isinstance(command, bytes) else msgspec.json.encode(command)
        check_values(text)
        if not isinstance(command, bytes):
            check_command(command)
            _check_nesting(agent, command, text)


def _check_nesting(agent: Agent, command: AnyCommand, text: bytes) -> None:
    if isinstance(command, AddMessage | AddToolResult) and agent.messages is not None:
        check_nesting(text, MAX_DEPTH - len(agent.messages) - DEEPER)


def unapplied(thread: Thread, commands: Sequence[AnyCommand]) -> tuple[list[AnyCommand], str | None]:
    """Return the commands that the thread has not applied, and the run that applied the others.

    Raises:
        RequestError: `command_id_reused`: an id that stands for another command, or another message.
    """
    fresh: list[AnyCommand] = []
    original: str | None = None
    seen: dict[str, tuple[bytes, str | None]] = {}
    for command in commands:
        marks = marks_of(command)
        known = [(mark, *found) for mark in marks if (found := seen.get(mark.key) or thread.applied.get(mark.key))]
        for mark, before, run_id in known:
            mark.check(before)
            original = run_id or original
        if not known:
            fresh.append(command)
        seen.update({mark.key: (mark.digest, None) for mark in marks if mark.key not in thread.applied})
    return fresh, original


class Mark(msgspec.Struct, frozen=True):
    """The key and digest by which a repeated command is recognized."""

    kind: str  #: what the id names
    id: str
    digest: bytes  #: what two commands, or messages, share only if they are the same

    @property
    def key(self) -> str:
        """The key under which a thread stores the mark. Keys of commands and messages never collide."""
        return self.id if self.kind == "command" else f"\x1f{self.kind}\x1f{self.id}"

    def check(self, digest: bytes) -> None:
        """Check that what was applied under the same key is the same.

        Raises:
            RequestError: `command_id_reused`.
        """
        if digest != self.digest:
            raise CommandIdReused(f'the {self.kind} id "{self.id}" already belongs to another {self.kind}')


def is_applied(thread: Thread, message_id: str) -> bool:
    """Return whether a message of that id was applied by a run that has ended."""
    _, run_id = thread.applied.get(Mark("message", message_id, b"").key, (b"", None))
    return run_id is not None and run_id not in [run.id for run in thread.queue.live]


def without_spent_id(thread: Thread, command: AnyCommand) -> AnyCommand:
    """Return a command without its message's id, if that was the id of a message which the thread has dropped.

    The client sends the message again, and the thread takes it as another message. A command that was named after its
    message loses that id too.
    """
    if not isinstance(command, AddMessage):
        return command
    id = command.message.id
    if not isinstance(id, str) or id == command.source_id or not is_applied(thread, id):
        return command
    if any(id_of(item) == id for item in thread.document.list_at(thread.agent.messages)):
        return command
    message = msgspec.structs.replace(command.message, id=msgspec.UNSET)
    return msgspec.structs.replace(command, id=None if command.id == id else command.id, message=message)


def marks_of(command: AnyCommand) -> list[Mark]:
    """Return the marks of a command: its id, and its message's id unless the message replaces itself."""
    marks = [] if command.id is None else [Mark("command", command.id, _digest(command))]
    if isinstance(command, AddMessage):
        message = command.message
        if isinstance(message.id, str) and command.source_id != message.id:
            marks.append(Mark("message", message.id, _digest([message.role, message.parts, message.metadata or None])))
    return marks


def remember(thread: Thread, command: AnyCommand, run_id: str) -> None:
    """Record which run applied a command, so that it is not applied again."""
    for mark in marks_of(command):
        remember_mark(thread, mark, run_id)


def remember_mark(thread: Thread, mark: Mark, run_id: str) -> None:
    """Record that something was applied, by which run."""
    thread.applied[mark.key] = (mark.digest, run_id)
    thread.journal.add(BatchApplied(thread.key, mark.key, mark.digest, run_id))


def delivery_marks(posted: Posted, commands: Sequence[AnyCommand]) -> dict[int, Mark]:
    """Return the marks of commands without an id that may be handed to a run, by the identities of the commands.

    Only a batch that may be submitted again, because another process has claimed the thread, has any.
    """
    return {
        id(command): Mark("delivery", f"{posted.run_id}/{place}", b"")
        for place, command in enumerate(commands)
        if posted.run_id is not None and command.id is None
    }


def patch_mark(key: str, steps: Sequence[Any]) -> Mark:
    """Return the mark of a patch that came with an idempotency key."""
    return Mark("patch", key, _digest(steps))


def rewind_mark(key: str, revision: int) -> Mark:
    """Return the mark of a rewind that came with an idempotency key."""
    return Mark("rewind", key, _digest(revision))


def is_repeated(thread: Thread, mark: Mark) -> bool:
    """Return whether a thread has applied something.

    Raises:
        RequestError: `command_id_reused`: it has applied something else under this key.
    """
    known = thread.applied.get(mark.key)
    if known is not None:
        mark.check(known[0])
    return known is not None


def _digest(value: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()


def check_messages(thread: Thread, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
    """Check that built-in commands fit the messages.

    Raises:
        RequestError: `unknown_parent`, `unknown_tool_call`, `tool_call_settled`, `no_messages`.
    """
    has_results = any(isinstance(command, AddToolResult) for command in commands)
    if thread.agent.messages is None or not (has_results or any(isinstance(one, AddMessage) for one in commands)):
        return
    messages = Messages(thread.document, thread.agent.messages)
    if has_results and len(Pending(thread.document, thread.agent.pending)):
        items = thread.document.list_at(thread.agent.messages)
        commands = [command for command in commands if answered_call(command, items) is None]
    check_commands(messages, commands, agrees=agrees)


def check_questions(thread: Thread, commands: Sequence[AnyCommand]) -> None:
    """Check that the answers in a batch fit the questions that are open, and that no batch in front settles them.

    Raises:
        RequestError: `unknown_question`, `question_answered`, `invalid_answer`.
    """
    kinds = {type(command) for command in commands}
    if Answer not in kinds and AddToolResult not in kinds:
        return
    pending = Pending(thread.document, thread.agent.pending)
    if Answer not in kinds and not len(pending):
        return
    messages = thread.document.list_at(thread.agent.messages)
    queued = [run.batch for run in thread.queue.live if not run.begun]
    spent = {id for batch in queued for command in batch.commands for id in answers_in(command, messages)}
    at_once = [batch for batch in queued if batch.next_up or not batch.says_instead]  # others wait for the answers
    if any(isinstance(command, AddMessage) for batch in at_once for command in batch.commands):
        spent |= pending.by_id.keys()  # the message dismisses what is open when it begins
    check_answers(pending, commands, messages, spent={*spent, *thread.answers}, dismisses=True)


def chosen_policy(thread: Thread, posted: Posted, commands: Sequence[AnyCommand]) -> Policy:
    """Return the policy for a batch that arrives while a run is active."""
    if posted.policy is not None:
        return posted.policy
    if thread.waits and any(isinstance(command, AddMessage) for command in commands):
        return posted.agent.waiting_policy
    if all(isinstance(command, Answer) for command in commands):
        return "enqueue"  # an answer never stops the run that another answer began
    return posted.agent.policy


def check_policy(thread: Thread, posted: Posted, commands: Sequence[AnyCommand]) -> None:
    """Check that a batch may arrive while an active run does not listen for it.

    Raises:
        RequestError: `run_active` or `not_listening`; `policy_not_available`.
    """
    active = next((run.state for run in thread.queue.live if not run.held), None)
    if active is None and thread.asks and says_instead(commands):
        active = thread.last_run
    if active is None:
        return
    policy = chosen_policy(thread, posted, commands)
    if policy == "reject" and active.asks:
        raise RunActive("the thread waits for answers; answer its questions, or dismiss them", run_id=active.id)
    if policy == "reject":
        raise RunActive(f'the run "{active.id}" is active; wait for its end', run_id=active.id)
    if policy == "deliver":
        message = f'the run "{active.id}" does not listen for these commands'
        raise NotListening(message, run_id=active.id)
    if policy == "rollback" and "rollback" not in (posted.agent.policy, posted.agent.waiting_policy):
        message = f'expected an agent that declares the policy "rollback", got "{posted.agent.name}"'
        raise PolicyNotAvailable(message)
