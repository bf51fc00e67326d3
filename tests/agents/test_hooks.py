"""Hooks: titles, suggestions and feedback, of functions of every kind, and what happens without them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from statecast import About, Agent, Feedback
from statecast.state import Json

pytestmark = pytest.mark.anyio


def said(text: str, role: str = "user") -> dict[str, Json]:
    return {"id": "m", "role": role, "parts": [{"type": "text", "text": text}]}


ABOUT = About(thread_id="t", messages=[said("Good morning, bees")], state={"n": 1})


async def all_of(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]


def returns(about: About) -> str:
    return f"On {about.thread_id}"


async def answers(about: About) -> str:
    return f"On {about.thread_id}"


def yields(about: About) -> Iterator[str]:
    yield "On "
    yield about.thread_id


async def streams(about: About) -> AsyncIterator[str]:
    yield "On "
    yield about.thread_id


class Object:
    async def __call__(self, about: About) -> str:
        return f"On {about.thread_id}"


@pytest.mark.parametrize("hook", [returns, answers, yields, streams, Object()])
async def test_a_title_comes_from_a_function_of_any_kind(hook: Callable[..., Any]) -> None:
    agent = Agent()
    assert agent.title(hook) is hook

    assert "".join(await all_of(agent.hooks.title(ABOUT))) == "On t"


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ([], ""),
        ([said("Hello")], "Hello"),
        ([said("I am here", "assistant"), said("  Plan\n a   trip ")], "Plan a trip"),
        ([said(""), said("Second")], "Second"),
        ([said("word " * 30)], "word " * 11 + "word…"),
        ([said("w" * 100)], "w" * 60 + "…"),
        ([{"role": "user"}, {"role": "user", "parts": "no"}, None, said("Late")], "Late"),
        ([{"role": "user", "parts": [{"type": "image", "image": "x"}, {"type": "text", "text": "Look"}]}], "Look"),
    ],
)
async def test_without_a_hook_a_title_is_the_first_words_of_the_user(messages: list[Json], title: str) -> None:
    assert About(thread_id="t", messages=messages).first_words == title
    assert await all_of(Agent().hooks.title(About(thread_id="t", messages=messages))) == [title]


async def test_there_are_no_suggestions_without_a_hook() -> None:
    assert await all_of(Agent().hooks.suggestions(ABOUT)) == [[]]


async def test_suggestions_are_told_as_they_come() -> None:
    agent = Agent()

    @agent.suggest
    async def suggest(about: About) -> AsyncIterator[Any]:
        yield "More?"
        yield {"prompt": "Less?", "why": 1}
        yield ["Only this"]

    assert await all_of(agent.hooks.suggestions(ABOUT)) == [
        [{"prompt": "More?"}],
        [{"prompt": "More?"}, {"prompt": "Less?", "why": 1}],
        [{"prompt": "Only this"}],
    ]


@pytest.mark.parametrize(("answer", "told"), [([], [[]]), (["a", "b"], [[{"prompt": "a"}, {"prompt": "b"}]])])
async def test_suggestions_may_be_returned_at_once(answer: list[str], told: list[Any]) -> None:
    agent = Agent()
    agent.suggest(lambda about: answer)

    assert await all_of(agent.hooks.suggestions(ABOUT)) == told


@pytest.mark.parametrize("wrong", [1, None, {"text": "a"}, [1], [{"prompt": 1}]])
async def test_what_is_no_suggestion_is_an_error_of_the_hook(wrong: Any) -> None:
    agent = Agent()
    agent.suggest(lambda about: wrong)

    with pytest.raises(TypeError, match="expected a suggestion"):
        await all_of(agent.hooks.suggestions(ABOUT))


async def test_what_is_no_text_is_no_title() -> None:
    agent = Agent()
    agent.title(lambda about: 1)

    with pytest.raises(TypeError, match="expected text"):
        await all_of(agent.hooks.title(ABOUT))


async def test_feedback_is_told_to_the_agent_if_it_wants_to_know() -> None:
    agent, heard = Agent(), list[Feedback]()
    feedback = Feedback(thread_id="t", message_id="m", type="negative", comment="no")
    await agent.hooks.feedback(feedback)

    agent.feedback(heard.append)
    await agent.hooks.feedback(feedback)
    assert heard == [feedback]


@pytest.mark.parametrize("name", ["title", "suggest", "feedback"])
def test_an_agent_has_one_hook_of_a_kind(name: str) -> None:
    agent = Agent()
    getattr(agent, name)(returns)

    with pytest.raises(TypeError, match=f'a hook for "{name}" already'):
        getattr(agent, name)(returns)
