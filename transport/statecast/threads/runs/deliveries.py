"""Commands that are delivered to the run that listens for them, until its agent has received them.

The store has each as a batch of its own, which becomes a run if this one ends first.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import Context
from typing import Final

import msgspec

from statecast.stores import BatchAccepted, BatchSettled
from statecast.threads.log.logged_state import LoggedState
from statecast_agents import AddMessage, AddToolResult, Answer, Run
from statecast_agents.answering import answers_in, apply_answers, check_answers
from statecast_agents.commands import AnyCommand
from statecast_agents.message_commands import apply_commands, check_commands

from .batch import Batch

__all__ = ["Deliveries", "Delivery", "apply_built_in"]

_log: Final = logging.getLogger("statecast")


class Delivery(msgspec.Struct, frozen=True):
    """One command for a run under way."""

    run_id: str  #: the id of the run that it becomes if the agent does not receive it
    batch: Batch
    context: Context  #: the variables of its request


class Deliveries:
    """The commands that are delivered to one run.

    Args:
        thread: The state and the log that the run changes.
        context: The context variables of the run's request.
    """

    __slots__ = ("_context", "_pending", "_thread")

    def __init__(self, thread: LoggedState, context: Context) -> None:
        self._thread = thread
        self._context = context
        self._pending: dict[int, Delivery] = {}  #: by the identity of the command

    def wanted(self, run: Run, commands: Sequence[AnyCommand]) -> list[AnyCommand]:
        """Return which commands of a batch a run listens for."""
        try:
            return self._context.copy().run(run.waiting.wanted, commands)
        except BaseException:  # the agent's own `where` met what it did not expect, which is not the client's failure
            _log.exception("run %s on thread %s cannot tell what it waits for", run.id, run.thread_id)
            return []

    def deliver(self, run: Run, delivery: Delivery, *, agrees: bool) -> None:
        """Deliver a command to a run that it wants, applied to the messages if it is a built-in one.

        Raises:
            MessageConflict: It does not fit the messages.
        """
        (command,) = delivery.batch.commands
        apply_built_in(run, [command], agrees=agrees)
        batch = msgspec.structs.replace(delivery.batch, applied=True)
        self._pending[id(command)] = msgspec.structs.replace(delivery, batch=batch)
        self._thread.journal.add(BatchAccepted(self._thread.key, delivery.run_id, batch.encode()))
        try:
            self._context.copy().run(run.waiting.deliver, command)
        except BaseException:  # the agent's own `where` again; the command is handled when the run has ended
            _log.exception("run %s on thread %s cannot tell what it waits for", run.id, run.thread_id)

    def mark_received(self, command: AnyCommand) -> None:
        """Record that the agent has received a command. Thread-safe."""
        if not self._thread.here:
            self._thread.loop.call_soon_threadsafe(self.mark_received, command)
            return
        delivery = self._pending.pop(id(command), None)
        if delivery is not None:
            self._thread.journal.add(BatchSettled(self._thread.key, delivery.run_id))

    def move(self, thread: LoggedState) -> None:
        """Record on another thread from here on."""
        self._thread = thread

    @property
    def waiting(self) -> bool:
        """Whether there are commands that the agent has not received."""
        return bool(self._pending)

    def undelivered(self, *, rolled_back: bool) -> list[Delivery]:
        """Return the commands that the agent did not receive, now that the run has ended.

        Args:
            rolled_back: Whether the state was rolled back, and what the commands had changed in it.
        """
        pending = list(self._pending.values())
        self._pending.clear()
        if rolled_back:
            return [
                msgspec.structs.replace(one, batch=msgspec.structs.replace(one.batch, applied=False)) for one in pending
            ]
        return pending


def apply_built_in(run: Run, commands: Sequence[AnyCommand], *, agrees: bool, begins: bool = False) -> None:
    """Apply the built-in commands among these to the state, all or none.

    Args:
        run: The run.
        commands: The commands, in order.
        agrees: Whether the client had seen the state as it is.
        begins: Whether the run begins with them: then a message dismisses the questions that are open.

    Raises:
        MessageConflict: One does not fit.
        InvalidAnswer: A question does not accept its answer.
    """
    questions, others = run.questions, commands
    if any(isinstance(command, AddToolResult | Answer) for command in commands):
        messages = run.shown_messages
        check_answers(questions, commands, messages, dismisses=begins)
        answering = [command for command in commands if answers_in(command, messages)]
        others = [command for command in commands if not any(command is one for one in answering)]
        if answering and run.keeps_messages:
            check_commands(run.messages, others, agrees=agrees)
        for command in answering:
            run.given.add(apply_answers(questions, command, messages))
    if run.keeps_messages:
        apply_commands(run.messages, others, agrees=agrees, memory=lambda: run.memory)
    if begins and len(questions) and any(isinstance(command, AddMessage) for command in others):
        questions.drop_lost(run.shown_messages)
        run.given.add(questions.dismiss(run.shown_messages))
    run.flush()
