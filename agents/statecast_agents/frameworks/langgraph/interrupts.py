"""Turn a graph's interrupts into questions of the thread, and their answers into values to resume with.

A question has the id of its interrupt, so the run that continues needs no other information about the run that asked.
The graph is resumed when all of its interrupts have answers, because each resumption repeats the nodes that still wait.

Source: LangChain's `HumanInTheLoopMiddleware`, for the content of its interrupts and the decisions it accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from statecast_agents.arguments import arguments_text
from statecast_agents.foreign import to_state
from statecast_agents.message import ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json, plain_copy

from .messages import PAGE_CALL

if TYPE_CHECKING:
    from langgraph.types import Interrupt, StateSnapshot

__all__ = ["ask", "ask_to_go_on", "goes_on", "resumption"]

#: JSON Schema of the value of an answer that edits a call.
EDITED: Final[Json] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "args": {"type": "object"}},
    "required": ["args"],
}

#: What the model reads of a call that was declined where its middleware takes no rejection.
DECLINED: Final = "The user declined this tool call."

#: Fields of an interrupt that may hold the question in words.
PROMPTS: Final = ("question", "prompt", "message", "description", "title")


class _Action(NamedTuple):
    """One call that LangChain's middleware asks about."""

    id: str  #: of the question
    name: str
    args: Json
    description: str | None
    decisions: Sequence[str]


def ask(run: Run, interrupts: Sequence[Interrupt], call_of: Callable[[str], str | None]) -> None:
    """Ask what a graph waits for, as far as it has not been asked.

    Args:
        run: The run.
        interrupts: What the graph waits for.
        call_of: Returns the id of the tool call that an interrupt came from, given the interrupt's id.
    """
    asked = {question["id"] for question in run.pending}
    open_calls = run.messages.open_calls()
    for interrupt in interrupts:
        actions = [*_actions(interrupt)]
        for action in actions:
            call = _take(open_calls, action)
            if action.id in asked:
                continue
            schema = EDITED if "edit" in action.decisions else None
            details = {"name": action.name, "args": action.args, "decisions": [*action.decisions]}
            prompt = action.description or f"Run {action.name}?"
            run.ask(prompt, schema=schema, details=details, call=call, id=action.id)
        if not actions and interrupt.id not in asked and _page_call(interrupt) is None:
            id = call_of(interrupt.id)
            call = None if id is None else run.messages.find_tool_call(id)
            value = to_state(interrupt.value)
            run.ask(
                _prompt(value),
                kind="input",
                schema=interrupt.response_schema,
                details=None if isinstance(value, str) else value,
                call=call,
                id=interrupt.id,
            )


def ask_to_go_on(run: Run, snapshot: StateSnapshot) -> None:
    """Ask whether a graph goes on that stopped before or after a node, as it was compiled to."""
    run.ask(f"Go on with {', '.join(snapshot.next)}?", details={"next": [*snapshot.next]}, id=_stop_id(snapshot))


def goes_on(run: Run, snapshot: StateSnapshot) -> bool:
    """Return whether a graph that has stopped without an interrupt goes on: not if the user was asked and declined."""
    if any(question["id"] == _stop_id(snapshot) for question in run.pending):
        return False
    answer = run.answers.get(_stop_id(snapshot))
    return answer is None or answer["approved"] is True


def resumption(run: Run, interrupts: Sequence[Interrupt]) -> dict[str, Any] | None:
    """Return what each interrupt is answered with, by its id; None while an answer is missing."""
    open_ids = {question["id"] for question in run.pending}
    needed = {action.id for interrupt in interrupts for action in _actions(interrupt)}
    plain = {one.id for one in interrupts if not [*_actions(one)] and _page_call(one) is None}
    calls = [id for one in interrupts if (id := _page_call(one)) is not None]
    if open_ids & (needed | plain) or not all(_settled(run, id) for id in calls):
        return None
    answers = run.answers
    if not answers.keys() >= needed | plain:
        return None
    return {interrupt.id: _resumed(run, interrupt, answers) for interrupt in interrupts}


def _resumed(run: Run, interrupt: Interrupt, answers: Mapping[str, Mapping[str, Json]]) -> Any:
    call = _page_call(interrupt)
    if call is not None:
        found = run.messages.find_tool_call(call)
        assert found is not None, "a call that is settled is there"
        result = found.part.get("modelContent", found.result)
        return {"result": plain_copy(result), "isError": found.part.get("isError") is True}
    actions = [*_actions(interrupt)]
    if actions:
        return {"decisions": [_decision(action, answers[action.id]) for action in actions]}
    answer = answers[interrupt.id]
    return next((answer[key] for key in ("value", "text", "optionId") if key in answer), answer["approved"])


def _decision(action: _Action, answer: Mapping[str, Json]) -> dict[str, Json]:
    """Return a decision in LangChain's form. What is not clearly one of the others, and allowed, rejects."""
    words, edited = answer.get("text") or answer.get("reason"), answer.get("value")
    if answer.get("approved") is True:
        if isinstance(edited, dict) and "edit" in action.decisions:
            return {"type": "edit", "edited_action": {"name": edited.get("name", action.name), "args": edited["args"]}}
        if edited is None and "approve" in action.decisions:
            return {"type": "approve"}
    if "respond" in action.decisions and ("text" in answer or "reject" not in action.decisions):
        return {"type": "respond", "message": words or DECLINED}
    return {"type": "reject"} | ({"message": words} if words else {})


def _actions(interrupt: Interrupt) -> Iterator[_Action]:
    """Yield what LangChain's middleware asks about in an interrupt; nothing if it is not the middleware's."""
    value = interrupt.value
    if not isinstance(value, dict) or not isinstance(value.get("action_requests"), list):
        return
    allowed = {
        review["action_name"]: review.get("allowed_decisions", ())
        for review in value.get("review_configs") or ()
        if isinstance(review, dict) and "action_name" in review
    }
    for index, action in enumerate(value["action_requests"]):
        name = action["name"]
        id = f"{interrupt.id}.{index}"
        yield _Action(id, name, action.get("args"), action.get("description"), allowed.get(name, ("approve", "reject")))


def _take(calls: list[ToolCall], action: _Action) -> ToolCall | None:
    """Return the first of the calls that an action is about, and take it off them: the middleware gives no ids."""
    found = next((call for call in calls if call.name == action.name and call.args == action.args), None)
    found = found or next((call for call in calls if call.name == action.name), None)
    if found is not None:
        calls.remove(found)
    return found


def _stop_id(snapshot: StateSnapshot) -> str:
    return str(snapshot.config["configurable"]["checkpoint_id"])


def _page_call(interrupt: Interrupt) -> str | None:
    value = interrupt.value
    id = value.get(PAGE_CALL) if isinstance(value, dict) else None
    return id if isinstance(id, str) else None


def _settled(run: Run, call: str) -> bool:
    found = run.messages.find_tool_call(call)
    return found is not None and found.settled


def _prompt(value: Json) -> str:
    """Return the question of an interrupt in words; its JSON if it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        found = next((value[key] for key in PROMPTS if isinstance(value.get(key), str)), None)
        if found is not None:
            return str(found)
    return arguments_text(value)
