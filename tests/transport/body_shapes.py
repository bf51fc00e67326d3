"""Bodies that grow, for every endpoint and in every way that one can grow: what requests cost is tried with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from statecast import AddMessage, Agent, Run
from statecast.state import Json
from statecast.testing import Body as ClientBody

__all__ = ["SHAPES", "Shape", "sizing"]

Body = Callable[[int], Json]


@dataclass(frozen=True)
class Shape:
    """A request whose body grows with a number, on a thread `t` that earlier requests may have made."""

    method: str
    path: str
    body: Body | None  #: None: a request without a body, whose answer grows
    before: tuple[tuple[str, str, Body], ...] = ()  #: requests that come first: method, path, body

    def sent(self, size: int) -> ClientBody:
        """Return what a client is to send for a size."""
        return {} if self.body is None else {"json": self.body(size)}


def sizing() -> Agent:
    """Return an agent that takes everything, and answers shortly."""
    agent = Agent("sizing", initial={"messages": [], "rows": []}, writable=["/rows"], commands=["note"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("yes")

    return agent


# Messages in each form


def text(words: str) -> dict[str, Json]:
    return {"type": "text", "text": words}


def ours(index: int, role: str = "user") -> dict[str, Json]:
    return {"id": f"m{index}", "role": role, "parts": [text(f"words {index}")]}


def turns(index: int) -> dict[str, Json]:
    return ours(index, "user" if index % 2 == 0 else "assistant")


def said(words: str = "hello") -> dict[str, Json]:
    return {"type": "add-message", "message": {"role": "user", "parts": [text(words)]}}


def called(id: str, *, result: bool = False) -> dict[str, Json]:
    call = {"type": "tool-call", "toolCallId": id, "toolName": "look", "args": {}, "argsText": "{}"}
    return call | ({"result": 1} if result else {})


def state(size: int) -> Json:
    return {"messages": [turns(index) for index in range(size)], "rows": []}


def calls_in_state(size: int) -> Json:
    calls = [called(f"c{index}") for index in range(size)]
    return {"messages": [ours(0), {"id": "a", "role": "assistant", "parts": calls}], "rows": []}


def nested(size: int) -> Json:
    inner: Json = 1
    for _ in range(50):
        inner = {"deeper": inner}
    return [inner for _ in range(size // 10)]


def ui_turns(size: int) -> list[Json]:
    return [{"id": f"u{index}", "role": _role(index), "parts": [text(f"words {index}")]} for index in range(size)]


def ui_parts(size: int) -> Json:
    parts: list[Json] = [text(f"words {index}") for index in range(size)]
    return {"id": "a", "role": "assistant", "parts": parts}


def ui_calls(size: int) -> Json:
    parts: list[Json] = [
        {"type": "tool-look", "toolCallId": f"c{index}", "state": "output-available", "input": {}, "output": 1}
        for index in range(size)
    ]
    return {"id": "a", "role": "assistant", "parts": parts}


def _role(index: int) -> str:
    return "user" if index % 2 == 0 else "assistant"


def ui_user(words: str = "hello", id: str = "last") -> Json:
    return {"id": id, "role": "user", "parts": [text(words)]}


def model_turns(size: int) -> list[Json]:
    return [{"role": _role(index), "content": [text(f"words {index}")]} for index in range(size)]


def model_calls(size: int) -> list[Json]:
    calls = [{"type": "tool-call", "toolCallId": f"c{at}", "toolName": "look", "input": {}} for at in range(size)]
    results = [
        {"type": "tool-result", "toolCallId": f"c{at}", "toolName": "look", "output": {"type": "json", "value": 1}}
        for at in reversed(range(size))
    ]
    return [{"role": "assistant", "content": calls}, {"role": "tool", "content": results}]


def model_call_by_call(size: int) -> list[Json]:
    return [message for at in range(size) for message in _model_round(at)]


def _model_round(at: int) -> list[Json]:
    call = {"type": "tool-call", "toolCallId": f"c{at}", "toolName": "look", "input": {}}
    result = {
        "type": "tool-result",
        "toolCallId": f"c{at}",
        "toolName": "look",
        "output": {"type": "text", "value": ""},
    }
    return [{"role": "assistant", "content": [call]}, {"role": "tool", "content": [result]}]


def model_user() -> Json:
    return {"role": "user", "content": [text("hello")]}


def openai_calls(size: int) -> list[Json]:
    calls = [openai_call(f"c{at}") for at in range(size)]
    results: list[Json] = [{"role": "tool", "tool_call_id": f"c{at}", "content": "x"} for at in reversed(range(size))]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


def openai_call(id: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}}


def openai_call_by_call(size: int) -> list[Json]:
    found: list[Json] = []
    for at in range(size):
        found.append({"role": "assistant", "content": None, "tool_calls": [openai_call(f"c{at}")]})
        found.append({"role": "tool", "tool_call_id": f"c{at}", "content": "x"})
    return found


def openai_turns(size: int) -> list[Json]:
    return [{"role": _role(index), "content": f"words {index}"} for index in range(size)]


def openai_answers(size: int) -> list[Json]:
    return [{"role": "assistant", "content": f"words {index}"} for index in range(size)]


def openai_tools(size: int) -> list[Json]:
    return [{"type": "function", "function": {"name": f"tool{at}", "parameters": {}}} for at in range(size)]


USER: Final = {"role": "user", "content": "hello"}


def ag_ui_turns(size: int) -> list[Json]:
    return [{"id": f"g{index}", "role": _role(index), "content": f"words {index}"} for index in range(size)]


def ag_ui_thoughts(size: int) -> list[Json]:
    return [{"id": f"r{at}", "role": "reasoning", "content": ""} for at in range(size)]


def ag_ui_calls(size: int) -> list[Json]:
    calls = [openai_call(f"c{at}") for at in range(size)]
    results: list[Json] = [
        {"id": f"t{at}", "role": "tool", "toolCallId": f"c{at}", "content": "1"} for at in reversed(range(size))
    ]
    return [{"id": "a", "role": "assistant", "toolCalls": calls}, *results]


def ag_ui_user() -> Json:
    return {"id": "last", "role": "user", "content": "hello"}


def ag_ui(messages: Callable[[int], list[Json]], **more: Json) -> Body:
    around = {"threadId": "t", "runId": "r", "state": {}, **more}
    return lambda size: {**around, "messages": [*messages(size), ag_ui_user()]}


def local_turns(size: int) -> list[Json]:
    return [{"id": f"l{index}", "role": _role(index), "content": [text(f"words {index}")]} for index in range(size)]


def in_parts(size: int) -> dict[str, Json]:
    """Return a message of a history with many parts."""
    return {"id": "h", "role": "user", "content": [text(f"words {index}") for index in range(size)]}


def settled_in_state(order: Callable[[int], Iterable[int]]) -> Body:
    """Return a state whose calls all have their results, in some order."""

    def body(size: int) -> Json:
        calls = [called(f"c{at}", result=True) for at in order(size)]
        return {"messages": [ui_user(), {"id": "a", "role": "assistant", "parts": calls}], "rows": []}

    return body


def backwards(size: int) -> Iterable[int]:
    return reversed(range(size))


def data_parts(size: int) -> Json:
    parts: list[Json] = [{"type": "data", "name": "d", "data": at} for at in range(size)]
    return {"messages": [ui_user(), {"id": "a", "role": "assistant", "parts": parts}], "rows": []}


# Threads that are there already


def adopting(of: Body) -> tuple[str, str, Body]:
    """A request that makes the thread, with a state of the size."""
    return "POST", "/assistant", lambda size: {"threadId": "t", "state": of(size), "commands": []}


def answered(of: Body) -> tuple[tuple[str, str, Body], ...]:
    """Requests that make the thread, with a state of the size, and have an agent run on it."""
    return adopting(of), ("POST", "/assistant", lambda size: {"threadId": "t", "commands": [said()]})


LISTED: Final = adopting(state)
CALLED: Final = adopting(calls_in_state)
SPOKEN: Final = ("POST", "/assistant", lambda size: {"threadId": "t", "commands": [said()]})
FIRST: Final = ("POST", "/threads", lambda size: {"threadId": "t"})


def assistant(**more: Callable[[int], Json] | Json) -> Body:
    def body(size: int) -> dict[str, Json]:
        return {"threadId": "t", **{name: made(size) if callable(made) else made for name, made in more.items()}}

    return body


def results_of(size: int) -> list[Json]:
    """Return as many results as one request may have."""
    return [
        {"type": "add-tool-result", "toolCallId": f"c{size - 1 - at}", "toolName": "look", "result": 1}
        for at in range(min(size, 64))
    ]


def rows(size: int) -> Json:
    return list(range(size))


def wide(size: int) -> Json:
    return {f"key {index}": index for index in range(size)}


def patch(*steps: Callable[[int], Mapping[str, Any]]) -> Body:
    return lambda size: [dict(step(size)) for step in steps]


def filled(value: int) -> tuple[str, str, Body]:
    """A patch that fills the rows."""
    return "PATCH", "/threads/t/state", patch(lambda size: {"op": "add", "path": "/rows", "value": [value] * size})


def _step(op: str, path: str, **more: Any) -> Callable[[int], Mapping[str, Any]]:
    return lambda size: {"op": op, "path": path, **more}


LAST: Final = {"id": "w", "role": "user", "content": [text("other")]}

SHAPES: Final[dict[str, Shape]] = {
    # the thread's own protocol
    "/assistant, state": Shape("POST", "/assistant", assistant(state=state, commands=[said()])),
    "/assistant, wide state": Shape("POST", "/assistant", assistant(state=wide, commands=[])),
    "/assistant, deep state": Shape("POST", "/assistant", assistant(state=nested, commands=[])),
    "/assistant, parts": Shape(
        "POST",
        "/assistant",
        assistant(commands=lambda n: [{"type": "add-message", "message": {"role": "user", "parts": [text("")] * n}}]),
    ),
    "/assistant, many fields": Shape("POST", "/assistant", lambda n: {"threadId": "t", "commands": [], **wide(n)}),
    "/assistant, tools": Shape("POST", "/assistant", assistant(commands=[said()], tools=wide)),
    "/assistant, a claim that differs": Shape(
        "POST", "/assistant", assistant(state=lambda n: state(n + 1), commands=[said()]), (LISTED, SPOKEN)
    ),
    "/assistant, a claim with other keys": Shape(
        "POST",
        "/assistant",
        assistant(state=lambda n: {"messages": [], "rows": wide(n)}, commands=[]),
        (adopting(lambda n: {"messages": [], "rows": {f"kay {at}": at for at in range(n)}}),),
    ),
    "/assistant, many results": Shape("POST", "/assistant", assistant(commands=results_of), (CALLED,)),
    "/assistant, many messages": Shape("POST", "/assistant", assistant(commands=lambda n: [said()] * 64), (LISTED,)),
    "/assistant, an edit of the first": Shape(
        "POST",
        "/assistant",
        assistant(commands=[{**said(), "parentId": None, "sourceId": "m0"}]),
        (LISTED,),
    ),
    "/assistant, a command": Shape(
        "POST", "/assistant", assistant(commands=lambda n: [{"type": "note", "rows": rows(n)}])
    ),
    "/assistant, commands after many": Shape("POST", "/assistant", assistant(commands=[said()]), (LISTED,)),
    "/resume": Shape("POST", "/resume", assistant(state=state), (LISTED, SPOKEN)),
    # conversations
    "/chat, turns": Shape("POST", "/chat", assistant(messages=lambda n: [*ui_turns(2 * (n // 2)), ui_user()])),
    "/chat, turns of a known thread": Shape(
        "POST",
        "/chat",
        assistant(messages=lambda n: [*ui_turns(2 * (n // 2)), ui_user("more", "more")]),
        (("POST", "/chat", assistant(messages=lambda n: [*ui_turns(2 * (n // 2)), ui_user()])),),
    ),
    "/chat, parts": Shape("POST", "/chat", assistant(messages=lambda n: [ui_user(), ui_parts(n)], id="t")),
    "/chat, an answer cut off": Shape(
        "POST",
        "/chat",
        assistant(messages=lambda n: [ui_user(), ui_parts(n)], id="t"),
        (adopting(lambda n: {"messages": [ui_user(), ui_parts(n)], "rows": []}),),
    ),
    "/chat, calls answered": Shape(
        "POST",
        "/chat",
        assistant(messages=lambda n: [ui_user(), ui_calls(n)], id="t"),
        (adopting(settled_in_state(range)),),
    ),
    "/chat, calls answered the other way round": Shape(
        "POST",
        "/chat",
        assistant(messages=lambda n: [ui_user(), ui_calls(n)], id="t"),
        (adopting(settled_in_state(backwards)),),
    ),
    "/chat, parts of data": Shape(
        "POST", "/chat", assistant(messages=[ui_user(), ui_parts(1)], id="t"), (adopting(data_parts),)
    ),
    "/chat, regenerated": Shape(
        "POST",
        "/chat",
        assistant(messages=lambda n: ui_turns(2 * (n // 2) + 1), id="t", trigger="regenerate-message"),
        (("POST", "/chat", assistant(messages=lambda n: ui_turns(2 * (n // 2) + 1), id="t")),),
    ),
    "/chat, a model's turns": Shape("POST", "/chat", assistant(messages=lambda n: [*model_turns(n), model_user()])),
    "/chat, a model's calls": Shape(
        "POST", "/chat", assistant(messages=lambda n: [model_user(), *model_calls(n), model_user()])
    ),
    "/chat, a model's calls, one by one": Shape(
        "POST", "/chat", assistant(messages=lambda n: [model_user(), *model_call_by_call(n), model_user()])
    ),
    "/chat, tools": Shape("POST", "/chat", assistant(messages=[ui_user()], tools=wide)),
    "/ag-ui, turns": Shape("POST", "/ag-ui", ag_ui(lambda n: ag_ui_turns(2 * (n // 2)))),
    "/ag-ui, turns of a known thread": Shape(
        "POST", "/ag-ui", ag_ui(lambda n: ag_ui_turns(2 * (n // 2))), answered(state)
    ),
    "/ag-ui, reasoning": Shape("POST", "/ag-ui", ag_ui(ag_ui_thoughts)),
    "/ag-ui, reasoning and an answer": Shape(
        "POST", "/ag-ui", ag_ui(lambda n: [*ag_ui_thoughts(n), {"id": "a", "role": "assistant", "content": "yes"}])
    ),
    "/ag-ui, calls": Shape("POST", "/ag-ui", ag_ui(ag_ui_calls)),
    "/ag-ui, state": Shape("POST", "/ag-ui", lambda n: {**ag_ui(lambda _: [])(n), "state": wide(n)}),
    "/ag-ui, state of a known thread": Shape(
        "POST",
        "/ag-ui",
        lambda n: {**ag_ui(lambda _: [])(n), "state": wide(n)},
        (adopting(lambda n: {"messages": [], **wide(n)}),),
    ),
    "/ag-ui, tools": Shape(
        "POST", "/ag-ui", lambda n: {**ag_ui(lambda _: [])(n), "tools": [{"name": f"t{at}"} for at in range(n)]}
    ),
    "/ag-ui, answers to interrupts": Shape(
        "POST",
        "/ag-ui",
        lambda n: {
            **ag_ui(lambda _: [])(n),
            "resume": [{"interruptId": f"c{at}", "status": "resolved", "payload": 1} for at in range(min(n, 63))],
        },
        (CALLED,),
    ),
    "/v1, turns": Shape(
        "POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": [*openai_turns(2 * (n // 2)), USER]}
    ),
    "/v1, answers in a row": Shape(
        "POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": [USER, *openai_answers(n), USER]}
    ),
    "/v1, calls": Shape(
        "POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": [USER, *openai_calls(n), USER]}
    ),
    "/v1, calls, one by one": Shape(
        "POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": [USER, *openai_call_by_call(n), USER]}
    ),
    "/v1, tools": Shape(
        "POST", "/v1/chat/completions", lambda n: {"model": "sizing", "messages": [USER], "tools": openai_tools(n)}
    ),
    **{
        f"{path}, turns": Shape(
            "POST",
            path,
            assistant(messages=lambda n: [*local_turns(2 * (n // 2)), {"role": "user", "content": "hello"}]),
        )
        for path in ("/text", "/sse", "/json")
    },
    "/json, results": Shape(
        "POST",
        "/json",
        assistant(
            messages=[],
            toolResults=lambda n: [{"toolCallId": f"c{n - 1 - at}", "result": 1} for at in range(min(n, 64))],
        ),
        (CALLED,),
    ),
    # the state
    "PATCH, a list": Shape("PATCH", "/threads/t/state", patch(_step("add", "/rows", value=[])), (LISTED, filled(0))),
    "PATCH, a list over another": Shape(*filled(1), (SPOKEN, filled(0))),
    "PATCH, items": Shape(
        "PATCH", "/threads/t/state", patch(*[_step("add", "/rows/0", value=1)] * 64), (LISTED, filled(0))
    ),
    "PATCH, items moved": Shape(
        "PATCH", "/threads/t/state", patch(*[_step("move", "/rows/-", **{"from": "/rows/0"})] * 64), (SPOKEN, filled(0))
    ),
    "PATCH, items removed": Shape(
        "PATCH", "/threads/t/state", patch(*[_step("remove", "/rows/0")] * 32), (SPOKEN, filled(0))
    ),
    "PATCH, a test": Shape(
        "PATCH",
        "/threads/t/state",
        patch(lambda n: {"op": "test", "path": "/rows", "value": [0] * n}, _step("add", "/rows/-", value=1)),
        (SPOKEN, filled(0)),
    ),
    "PATCH, beside much": Shape(
        "PATCH", "/threads/t/state", patch(_step("add", "/rows/-", value=1)), (LISTED, SPOKEN, filled(0))
    ),
    # histories
    "a history, written": Shape("POST", "/threads/t/messages", lambda n: {"message": in_parts(n)}, (FIRST,)),
    "a history, written anew": Shape(
        "PUT",
        "/threads/t/messages/h",
        lambda n: {"message": in_parts(n + 1)},
        (FIRST, ("POST", "/threads/t/messages", lambda n: {"message": in_parts(n)})),
    ),
    "a history, beside a state": Shape(
        "GET",
        "/threads/t/messages",
        None,
        (LISTED, ("POST", "/threads/t/messages", lambda n: {"message": LAST})),
    ),
    "a history, written beside a state": Shape(
        "POST", "/threads/t/messages", lambda n: {"message": LAST}, (*answered(state),)
    ),
    "a history, one deleted": Shape(
        "DELETE", "/threads/t/messages/w", None, (LISTED, ("POST", "/threads/t/messages", lambda n: {"message": LAST}))
    ),
    "feedback": Shape("POST", "/threads/t/messages/m0/feedback", lambda n: {"type": "positive"}, answered(state)),
    "suggestions": Shape("POST", "/threads/t/suggestions", lambda n: {"messages": local_turns(n)}, (SPOKEN,)),
    "a title": Shape("POST", "/threads/t/title", lambda n: {"messages": local_turns(n)}, (SPOKEN,)),
    # cards
    "a card": Shape("PATCH", "/threads/t", lambda n: {"custom": wide(n)}, (FIRST,)),
    "events": Shape("GET", "/threads/t/state", None, (LISTED, SPOKEN)),
}
