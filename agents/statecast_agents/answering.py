"""Check the answers in a batch against the open questions, and apply them.

An answer arrives as an `answer` command, or as the result of the tool call that a question is about. A message that
starts a run dismisses the open questions. Source: docs/protocol/questions.md, "Questions".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .calls import find_call
from .commands import AddMessage, AddToolResult, Answer, AnyCommand
from .pending import Pending, conflict, question_at, was_asked
from .questions import answer_to, lenient_answer_to
from .values import Json

__all__ = ["answered_call", "apply_answers", "as_answers", "check_answers", "takes_answers"]


def answered_call(command: AnyCommand, messages: Sequence[Json], *, answered: bool = False) -> str | None:
    """Return the id of the question that a command answers as the result of its call; None if it does not.

    Args:
        command: The command.
        messages: The thread's.
        answered: Whether the question may have its answer already.
    """
    if not isinstance(command, AddToolResult):
        return None
    call = find_call(messages, command.tool_call_id, command.message_id)
    return None if call is None or "result" in call else question_at(call, answered=answered)


def as_answers(commands: Sequence[AnyCommand], messages: Sequence[Json], *, answered: bool = False) -> list[AnyCommand]:
    """Return a batch with an `Answer` in place of each tool result that answers a question.

    Args:
        commands: The batch.
        messages: The thread's, before or after the batch was applied.
        answered: Whether it was.
    """
    found: list[AnyCommand] = []
    for command in commands:
        id = answered_call(command, messages, answered=answered)
        if id is None or not isinstance(command, AddToolResult):
            found.append(command)
        else:
            value = {"approved": False} if command.is_error else command.result
            found.append(Answer(id=command.id, answers={id: value}))
    return found


def check_answers(
    pending: Pending,
    commands: Sequence[AnyCommand],
    messages: Sequence[Json] = (),
    *,
    spent: Collection[str] = (),
    dismisses: bool = False,
) -> None:
    """Check that the answers of a batch fit the open questions, without applying any.

    Args:
        pending: The open questions.
        commands: The batch, in order.
        messages: The thread's.
        spent: Ids of questions that are answered by what is applied first, or were.
        dismisses: Whether messages of the batch dismiss what is open.

    Raises:
        MessageConflict: "unknown_question" or "question_answered".
        InvalidAnswer: A question does not accept its answer.
    """
    gone, open_now = set(spent), pending.by_id
    for command in commands:
        if isinstance(command, AddMessage) and dismisses:
            gone |= open_now.keys()
        for id, value in answers_in(command, messages).items():
            asked = None if id in gone else open_now.get(id)
            if asked is None:
                raise conflict(id, known=id in gone or was_asked(id, messages))
            if isinstance(command, Answer):
                answer_to(asked, value)
            gone.add(id)


def apply_answers(pending: Pending, command: AnyCommand, messages: Sequence[Json] = ()) -> dict[str, dict[str, Json]]:
    """Apply the answers that a checked command has, and return them by their questions' ids, as runs get them.

    Args:
        pending: The open questions.
        command: The command.
        messages: The thread's.
    """
    given: dict[str, dict[str, Json]] = {}
    open_now = pending.by_id
    for id, value in answers_in(command, messages).items():
        asked = open_now.get(id)
        if asked is None:
            continue
        if isinstance(command, AddToolResult):
            given[id] = lenient_answer_to(asked, value, is_error=command.is_error)
        else:
            given[id] = answer_to(asked, value)
    pending.settle(given, messages)
    return given


def answers_in(command: AnyCommand, messages: Sequence[Json]) -> Mapping[str, Json]:
    """Return the answers that a command has, by their questions' ids."""
    if isinstance(command, Answer):
        return command.answers
    id = answered_call(command, messages)
    return {id: command.result} if id is not None and isinstance(command, AddToolResult) else {}


def takes_answers(commands: Sequence[AnyCommand]) -> bool:
    """Return whether a run of these commands is one that answers are for: a message or an answer began it."""
    return any(isinstance(command, AddMessage | Answer) for command in commands)
