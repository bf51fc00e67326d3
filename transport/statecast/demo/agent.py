"""The demo's agent. It needs no key: its conduct is scripted, its reading is real.

Words in a message steer it: `trip` compares weekend trips, and books one if the user agrees; `slow` streams for at
least three seconds, `tool` asks the user through the frontend tool `ask_user`, `fail` fails, `think` streams its
reasoning first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from statecast_agents import AddMessage, AddToolResult, Agent, AgentError, AssistantMessage, Command, Json, Run

from .library import Passage, best, documents, passages, words
from .travel import Booking, CityCost, SetBudget, book, plan_trip
from .trips import Trip

__all__ = ["PasteText", "SetTitle", "State", "agent"]

PACE: Final = 0.015  #: seconds between words
SLOW_PACE: Final = 0.12
SLOW_WORDS: Final = 30  #: at least, so that a slow answer takes more than three seconds


class SetTitle(Command, frozen=True):
    """Give the conversation a title."""

    title: Annotated[str, msgspec.Meta(title="Title", min_length=1, max_length=120)]


class PasteText(Command, frozen=True):
    """Give the agent a text to answer from."""

    name: Annotated[str, msgspec.Meta(title="Name", min_length=1, max_length=80)]
    text: Annotated[str, msgspec.Meta(title="Text", min_length=1, max_length=200_000)]


class State(msgspec.Struct, kw_only=True):
    """What the page shows beside the messages. A state that a client posts may lack any field."""

    title: str = ""  #: of the user's own; until there is one, lists show that of the first message
    messages: list[dict[str, Json]] = []
    plan: list[dict[str, str]] = []
    progress: dict[str, Json] = {}
    documents: list[dict[str, Json]] = []
    budget: int | UnsetType = UNSET  #: euros, from the first trip on
    table: list[Trip] | UnsetType = UNSET  #: the trips that it allows
    chart: list[CityCost] | UnsetType = UNSET  #: the cheapest trip to each city
    choice: Trip | UnsetType = UNSET  #: while the user is asked
    booking: Booking | UnsetType = UNSET


agent = Agent(
    "demo",
    state=State,
    suggestions={
        "Plan a weekend trip for 400 euros": "Three tools work at once, a table and a chart grow, and nothing is "
        "booked before you approve. Change the budget meanwhile with set-budget.",
        "Take it slow": "Reload the page in the middle of the answer, or open it in a second tab.",
        "Now fail": "The run fails. See why under Runs, and retry it.",
    },
)


@agent.on(SetTitle)
def set_title(run: Run, command: SetTitle) -> None:
    """Set the title."""
    run.state["title"] = command.title


@agent.on(SetBudget)
def set_budget(run: Run, command: SetBudget) -> None:
    """Set the budget for the next trip; one that is being compared receives the command itself."""
    run.state["budget"] = command.euros


@agent.on(PasteText)
def paste_text(run: Run, command: PasteText) -> None:
    """Store a pasted text in the state, in place of the one of its name."""
    pasted = {"name": command.name, "words": len(command.text.split()), "text": command.text}
    kept = [document for document in run.state.get("documents", []) if document["name"] != command.name]
    run.state["documents"] = [*kept, pasted]


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    """Answer a message."""
    question = command.message.text
    steering = set(re.findall(r"[a-z]+", question.lower()))
    pace = SLOW_PACE if "slow" in steering else PACE
    run.state["plan"] = [
        {"title": "Read the question", "status": "running"},
        {"title": "Search the documents", "status": "pending"},
        {"title": "Write the answer", "status": "pending"},
    ]
    run.state["progress"] = {}
    message = run.messages.assistant()
    await asyncio.sleep(pace)
    if "think" in steering:
        await _think(message, question, pace)
    _advance(run, 0)
    if "fail" in steering:
        await _write(message.append_text, "Let me look that up.", pace)
        raise AgentError("The demo failed, because the message asked it to.", code="demo_failed")
    if "tool" in steering:
        await _write(message.append_text, "I need to know one thing first.", pace)
        message.add_tool_call("ask_user", {"question": "Which part of it matters most to you?"})
        return
    if "trip" in steering:
        await plan_trip(run, message, question, partial(_write, message.append_text, pace=pace), pace)
        return
    await _answer_from_documents(run, message, question, pace)


@agent.on(AddToolResult)
async def go_on(run: Run, command: AddToolResult) -> None:
    """Continue after the user's answer."""
    message = run.messages.last_assistant()
    if "choice" in run.state:  # the server was restarted while the run waited for the approval
        approved = not command.is_error and isinstance(command.result, dict) and command.result.get("approved") is True
        await book(run, partial(_write, message.append_text, pace=PACE), approved=approved)
        return
    reply = "" if command.is_error or command.result is None else str(command.result)
    begin = f'You said "{reply}", so that is what I looked for.' if reply else ""
    if command.is_error:
        begin = "Then I will go on without it."
    await _write(message.append_text, begin, PACE)
    await _answer_from_documents(run, message, f"{reply} {_last_question(run)}", PACE, gap=" " if begin else "")


async def _think(message: AssistantMessage, question: str, pace: float) -> None:
    telling = ", ".join(dict.fromkeys(words(question))) or "nothing in particular"
    thought = f"The question turns on: {telling}. I will look for passages with the rarest of these words."
    await _write(message.append_reasoning, thought, pace)


async def _answer_from_documents(
    run: Run, message: AssistantMessage, question: str, pace: float, *, gap: str = ""
) -> None:
    """Search, and write what was found, with `gap` between it and what the message says already."""
    found = await _search(run, question, pace)
    _advance(run, 1)
    if found:
        text = " ".join(f"{passage.text} ({passage.document})" for passage in found)
        text = f"This is what I found. {text}"
    else:
        text = "I found nothing about that in the documents. Ask about Statecast, or paste a text for me to read."
    if pace == SLOW_PACE:
        text += " " + " ".join(["I", "take", "my", "time."] * (SLOW_WORDS // 4))
    await _write(message.append_text, gap + text, pace)
    for name in dict.fromkeys(passage.document for passage in found):
        message.add_source(f"#{name}", title=name)
    _advance(run, 2)


async def _search(run: Run, question: str, pace: float) -> list[Passage]:
    """Read every document, with progress in the state, and return the passages that fit best."""
    shelf = {document["name"]: document["text"] for document in run.state.get("documents", []) if "text" in document}
    pasted = list(shelf)
    shelf.update(await asyncio.to_thread(documents))
    run.state["progress"] = {"label": "Reading", "done": 0, "total": len(shelf)}
    known = {document["name"] for document in run.state.setdefault("documents", [])}
    everything: list[Passage] = []
    for name, text in shelf.items():
        run.state["progress"]["label"] = f"Reading {name}"
        if name not in known:
            run.state["documents"].append({"name": name, "words": len(text.split())})
        everything += passages(name, text)
        run.state["progress"]["done"] += 1
        await asyncio.sleep(pace)
    run.state["progress"]["label"] = f"Read {len(everything)} passage{'' if len(everything) == 1 else 's'}"
    among_pasted = [passage for passage in everything if passage.document in pasted]
    return best(question, among_pasted) or best(question, everything)


async def _write(grow: Callable[[str], None], text: str, pace: float) -> None:
    for word in re.findall(r"\s*\S+(?:\s+\Z)?", text):
        grow(word)
        await asyncio.sleep(pace)


def _advance(run: Run, step: int) -> None:
    """Mark a step of the plan as done, and the next one as running."""
    plan = run.state.get("plan") or []
    for index, status in ((step, "done"), (step + 1, "running")):
        if index < len(plan):
            plan[index]["status"] = status


def _last_question(run: Run) -> str:
    return next((message.text for message in reversed(run.messages) if message.role == "user"), "")
