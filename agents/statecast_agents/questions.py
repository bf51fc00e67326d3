"""Questions to the user that outlive the run that asks them: their content, and the answers that they accept.

A question is `{"id", "callId"?, "kind", "prompt"?, "options"?, "schema"?, "details"?}` in the state. The next run
always gets an answer as `{"approved", "optionId"?, "text"?, "reason"?, "value"?, "dismissed"?}`.

Rule: fail closed. `approved` is true only if the user gave exactly what the question accepts.
Source: docs/protocol/questions.md, "Questions".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from .errors import InvalidAnswer
from .json_schema import misfit
from .values import Json

__all__ = [
    "DECLINED",
    "DISMISSED_QUESTION",
    "Kind",
    "Option",
    "answer_to",
    "approval_of",
    "lenient_answer_to",
    "question",
]

#: What is asked for: `approval`, yes or no, or one of `options`; `choice`, one of `options`; `text`, words; `input`, a
#: value that fits `schema`.
Kind = Literal["approval", "choice", "text", "input"]

#: An option: its id, or `{"id", "kind", "label"?, "description"?, …}`, as assistant-ui's `ToolApprovalOption`.
Option = str | Mapping[str, Json]

#: By the kind of an option, whether choosing it approves. Source: assistant-ui, `resolveToolApprovalResponse`.
APPROVES: Final = {"allow-once": True, "allow-always": True, "reject-once": False, "reject-always": False}

#: How assistant-ui shows a question on a call, by its kind; without one it shows two buttons.
DISPLAYS: Final = {"choice": "select", "text": "text"}

DECLINED: Final[dict[str, Json]] = {"approved": False}
#: The answer to a question that the user left for something else.
DISMISSED_QUESTION: Final[dict[str, Json]] = {"approved": False, "dismissed": True}


def question(
    id: str,  # the field's name
    *,
    kind: Kind,
    prompt: str | None = None,
    options: Sequence[Option] | None = None,
    schema: Json = None,
    details: Json = None,
    call_id: str | None = None,
) -> dict[str, Json]:
    """Return a question as the state holds it.

    Raises:
        ValueError: The kind is none of `Kind`; a choice has no options, or two options have one id; an option of an
            approval has no kind.
    """
    if kind not in get_args(Kind):
        known = ", ".join(f'"{one}"' for one in get_args(Kind))
        raise ValueError(f"expected a question's kind to be one of {known}, got {kind!r}")
    listed = [_option(option, kind) for option in options or ()]
    if kind == "choice" and not listed:
        raise ValueError("expected the options of a choice, got none")
    if len({option["id"] for option in listed}) < len(listed):
        raise ValueError("expected options with different ids, got one twice")
    fields: dict[str, Json] = {"id": id, "callId": call_id, "kind": kind, "prompt": prompt, "schema": schema}
    given = {name: value for name, value in (fields | {"details": details}).items() if value is not None}
    return given | ({"options": listed} if listed else {})


def _option(option: Option, kind: Kind) -> dict[str, Json]:
    fields = {"id": option} if isinstance(option, str) else dict(option)
    id = fields.get("id")
    if not isinstance(id, str) or not id:
        raise ValueError(f'expected an option as a text, or with an "id", got {option!r:.80}')
    if not isinstance(fields.get("kind"), str):
        if kind == "choice":
            fields = {"label": id, **fields, "kind": "allow-once"}
        elif id in APPROVES:
            fields["kind"] = id
        else:
            known = ", ".join(f'"{one}"' for one in APPROVES)
            raise ValueError(f"expected the option {id!r} of an approval to have a kind, such as {known}, got none")
    return fields


def answer_to(asked: Mapping[str, Json], value: Json) -> dict[str, Json]:
    """Return an answer to a question, as a run gets it.

    Args:
        asked: The question.
        value: `true`, `false`, an option's id, a text, a value that fits the schema, or an object with the fields
            `approved`, `optionId`, `text`, `reason` and `value`; which of them, depends on the question's kind.

    Raises:
        InvalidAnswer: The question does not accept the value.
    """
    if value is False or _declines(value):
        return _with_texts(DECLINED, value)
    kind = asked.get("kind")
    if kind == "input":
        _check_value(asked, value)
        return {"approved": True, "value": value}
    if kind == "text" and isinstance(value, str):
        return {"approved": True, "text": value}
    if isinstance(value, str):
        value = {"optionId": value}
    if value is True:
        value = {"approved": True}
    if not isinstance(value, dict):
        raise _invalid(asked, "true, false, an option or an object", value)
    answer: dict[str, Json] = {"approved": _approves(asked, value)}
    if "optionId" in value:
        answer["optionId"] = value["optionId"]
    if "value" in value:
        _check_value(asked, value["value"])
        answer["value"] = value["value"]
    return _with_texts(answer, value)


def lenient_answer_to(asked: Mapping[str, Json], value: Json, *, is_error: bool = False) -> dict[str, Json]:
    """Return the answer that a tool's result gives: as `answer_to`, but whatever is not accepted declines."""
    try:
        return dict(DECLINED) if is_error else answer_to(asked, value)
    except InvalidAnswer:
        return dict(DECLINED)


def approval_of(asked: Mapping[str, Json], answer: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the `approval` of a tool call that a question is about, as assistant-ui's renderers read it.

    Args:
        asked: The question.
        answer: Its answer; None: it is open.
    """
    known = {"id": asked["id"], "prompt": asked.get("prompt"), "display": DISPLAYS.get(str(asked.get("kind")))}
    known["options"] = asked.get("options")
    fields = {name: value for name, value in known.items() if value is not None}
    if answer is None:
        return fields
    if answer.get("dismissed") is True:
        return {**fields, "resolution": "cancelled"}
    return {**fields, **{name: value for name, value in answer.items() if name != "value"}}


def _approves(asked: Mapping[str, Json], value: Mapping[str, Any]) -> bool:
    """Return whether an answer that does not decline approves.

    Raises:
        InvalidAnswer: It names an option that is not there, or none where one is needed.
    """
    options = {option["id"]: option for option in asked.get("options") or ()}
    said = value.get("approved")
    if "optionId" in value:
        chosen = value["optionId"]
        option = options.get(chosen) if isinstance(chosen, str) else None
        if option is None:
            listed = ", ".join(f'"{id}"' for id in options)
            raise _invalid(asked, f"an option out of {listed}" if options else "true or false", chosen)
        return said is not False and APPROVES.get(option["kind"], said is True)
    if asked.get("kind") == "text" and isinstance(value.get("text"), str):
        return said in (None, True)
    simple = asked.get("kind") == "approval"
    if said is not True or not simple or (options and not any(APPROVES.get(one["kind"]) for one in options.values())):
        expected = '"approved": true or false' if simple and not options else "an option or a text"
        raise _invalid(asked, expected, value)
    return True


def _declines(value: Json) -> bool:
    return isinstance(value, dict) and value.get("approved") is False and "optionId" not in value


def _with_texts(answer: Mapping[str, Json], value: Json) -> dict[str, Json]:
    texts = {name: value.get(name) for name in ("text", "reason")} if isinstance(value, dict) else {}
    return {**answer, **{name: text for name, text in texts.items() if isinstance(text, str)}}


def _check_value(asked: Mapping[str, Json], value: Json) -> None:
    if asked.get("kind") != "input" and "schema" not in asked:
        raise InvalidAnswer(str(asked["id"]), "expected no value, since the question has no schema")
    problem = misfit(value, asked.get("schema"))
    if problem is not None:
        raise InvalidAnswer(str(asked["id"]), problem)


def _invalid(asked: Mapping[str, Json], expected: str, got: Json) -> InvalidAnswer:
    return InvalidAnswer(str(asked["id"]), f"expected {expected}, got {got!r:.80}")
