"""The inbox: what a posted batch must be before it is accepted. Everything here refuses, and changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.json_text import check_nesting
from statecast.protocol.refusal import Refusal
from statecast_agents import MAX_DEPTH, AddMessage, AddToolResult, Agent, CommandError, Messages, Policy, Request
from statecast_agents.commands import AnyCommand
from statecast_agents.errors import MessageConflict

from .claims import Claim
from .limits import Limits
from .run import Execution, OnDisconnect
from .thread import Thread

__all__ = [
    "Posted",
    "check_messages",
    "check_policy",
    "check_room",
    "chosen_policy",
    "decode_commands",
    "digest",
    "unapplied",
]

#: Containers around a tool's result in the state, beyond those that lead to the messages and those of its command.
DEEPER: Final = 3


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as far as it concerns a thread."""

    agent: Agent
    commands: Sequence[bytes | msgspec.Raw] = ()
    thread_id: str | None = None  #: None: a thread of its own that nobody can name
    claim: Claim = msgspec.UNSET
    owner: str | None = None
    user: Any = None  #: who posts, as the app's `identify` returned them
    request: Request = Request()
    on_disconnect: OnDisconnect = "continue"
    policy: Policy | None = None  #: None: the agent's
    key: str | None = None  #: stands for the ids of commands that have none, see `decode_commands`


def decode_commands(posted: Posted, limits: Limits) -> list[AnyCommand]:
    """Return the commands of a batch. Those without an id get one made of the request's key, if it has one.

    Raises:
        Refusal: 422 `too_many_commands`, `unknown_command`, `invalid_command`, `role_not_allowed`.
    """
    limit = limits.commands
    if len(posted.commands) > limit:
        message = f"expected at most {limit} commands, got {len(posted.commands)}"
        raise Refusal(422, "too_many_commands", message, limit=limit)
    try:
        commands = posted.agent.commands.decode(posted.commands)
    except CommandError as error:
        raise Refusal(422, error.code, str(error)) from None
    for command, text in zip(commands, posted.commands, strict=True):
        if isinstance(command, AddMessage | AddToolResult) and posted.agent.messages is not None:
            check_nesting(bytes(text), MAX_DEPTH - len(posted.agent.messages) - DEEPER)
        if isinstance(command, AddMessage) and command.message.role != "user" and not posted.agent.allow_assistant:
            message = f'expected a message of the user, got one of the "{command.message.role}"'
            raise Refusal(422, "role_not_allowed", message)
    if posted.key is None:
        return commands
    return [
        msgspec.structs.replace(command, id=f"{posted.key}/{index}") if command.id is None else command
        for index, command in enumerate(commands)
    ]


def unapplied(thread: Thread, commands: Sequence[AnyCommand]) -> tuple[list[AnyCommand], str | None]:
    """Return the commands that are new to the thread, and the run that the others led to.

    Raises:
        Refusal: 409 `command_id_reused`: an id that stands for another command.
    """
    fresh: list[AnyCommand] = []
    original: str | None = None
    seen: dict[str, bytes] = {}
    for command in commands:
        if command.id is None:
            fresh.append(command)
            continue
        known, run_id = thread.applied.get(command.id, (seen.get(command.id), None))
        if known is None:
            fresh.append(command)
            seen[command.id] = digest(command)
        elif known != digest(command):
            raise Refusal(409, "command_id_reused", f'the command id "{command.id}" stands for another command already')
        else:
            original = run_id or original
    return fresh, original


def digest(command: AnyCommand) -> bytes:
    """Return what two commands share only if they are the same."""
    return hashlib.sha256(msgspec.json.encode(command, order="sorted")).digest()


def check_messages(thread: Thread, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
    """Check that built-in commands fit the messages.

    Raises:
        Refusal: 409 `unknown_parent`, `unknown_tool_call`, `tool_call_settled`, `no_messages`.
    """
    if thread.agent.messages is None or not any(
        isinstance(command, AddMessage | AddToolResult) for command in commands
    ):
        return
    try:
        Messages(thread.document, thread.agent.messages).check(commands, agrees=agrees)
    except MessageConflict as error:
        raise Refusal(409, error.code, str(error)) from None


def chosen_policy(thread: Thread, posted: Posted, commands: Sequence[AnyCommand]) -> Policy:
    """Return what happens to a batch while a run is under way, or waits for its client."""
    if posted.policy is not None:
        return posted.policy
    waits = thread.active is not None and thread.active.waits_since is not None
    if waits and any(isinstance(command, AddMessage) for command in commands):
        return posted.agent.waiting_policy
    return posted.agent.policy


def check_policy(thread: Thread, posted: Posted, commands: Sequence[AnyCommand]) -> None:
    """Check that a batch may come while a run is under way, or about to be, that does not listen for it.

    Raises:
        Refusal: 409 `run_active` or `not_listening`; 422 `policy_not_available`.
    """
    active = thread.active or next(iter(thread.inbox), None)
    if active is None:
        return
    policy = chosen_policy(thread, posted, commands)
    if policy == "reject":
        raise Refusal(409, "run_active", f'the run "{active.id}" is under way; wait for its end', runId=active.id)
    if policy == "deliver":
        message = f'the run "{active.id}" does not listen for these commands'
        raise Refusal(409, "not_listening", message, runId=active.id)
    if policy == "rollback" and "rollback" not in (posted.agent.policy, posted.agent.waiting_policy):
        message = f'the agent "{posted.agent.name}" does not keep what a rollback needs; it must declare the policy'
        raise Refusal(422, "policy_not_available", message)


def check_room(live: Iterable[Execution], owner: str | None, limits: Limits) -> None:
    """Check that there is room for another run.

    Raises:
        Refusal: 503 `server_full`; 429 `too_many_runs`.
    """
    runs = list(live)
    if len(runs) >= limits.runs:
        message = f"the server runs {limits.runs} agents already; try again soon"
        raise Refusal(503, "server_full", message, retry_after=5, limit=limits.runs)
    if owner is None:
        return
    theirs = sum(execution.thread.owner == owner for execution in runs)
    if theirs >= limits.runs_per_owner:
        message = f"you have {theirs} runs under way; wait for one to end, or stop it"
        raise Refusal(429, "too_many_runs", message, retry_after=5, limit=limits.runs_per_owner)
