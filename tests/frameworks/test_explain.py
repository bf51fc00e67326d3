"""Exceptions of frameworks and providers: users read our text, and never the exception's own."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from statecast import AgentError
from statecast.frameworks import explained
from statecast_agents.frameworks.adapter.explain import _CODES, TEXTS
from tests.docs.pages import ROOT, code, load

SECRET = "sk-secret of https://internal"


def exception(package: str, name: str, *bases: type, **fields: Any) -> Exception:
    """Return an exception of a class with that package and name."""
    kind = type(name, bases or (Exception,), {"__module__": f"{package}.errors"})
    error: Exception = kind(SECRET)
    error.__dict__.update(fields)
    return error


@pytest.mark.parametrize("name", _CODES)
def test_every_class_has_a_text_of_ours(name: str) -> None:
    package, _, kind = name.partition(".")
    known = explained(exception(package, kind))

    assert known is not None
    assert known.code == _CODES[name]
    assert str(known) == TEXTS[known.code]
    assert SECRET not in str(known)


@pytest.mark.parametrize("text", TEXTS.values())
def test_texts_are_sentences(text: str) -> None:
    assert text[0].isupper()
    assert text.endswith(".")


OPENAI: Any = type("APIStatusError", (Exception,), {"__module__": "openai"})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exception("openai", "APIStatusError", status_code=429), "rate_limited"),
        (exception("openai", "APIStatusError", status_code=529), "model_unavailable"),
        (exception("openai", "APIStatusError", status_code=418), "model_request_rejected"),
        (exception("pydantic_ai", "ModelHTTPError", status_code=401), "model_authentication_failed"),
        (exception("openai", "BadRequestError", code="context_length_exceeded"), "context_too_long"),
        (exception("openai", "BadRequestError", code="content_filter"), "content_filtered"),
        (exception("openai", "BadRequestError"), "model_request_rejected"),
        (exception("myapp", "Mine", OPENAI, status_code=504), "model_timeout"),
        (ExceptionGroup("tasks", [ValueError(), exception("anthropic", "RateLimitError")]), "rate_limited"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_provider_says_more_by_its_status_and_its_code(error: Exception, code: str) -> None:
    known = explained(error)

    assert known is not None
    assert known.code == code


def test_the_cause_of_a_frameworks_own_error_counts() -> None:
    error = exception("smolagents", "AgentGenerationError")
    error.__cause__ = exception("openai", "RateLimitError")

    assert getattr(explained(error), "code", None) == "rate_limited"


def _endless() -> Exception:
    error = ValueError(SECRET)
    error.__cause__ = error
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        exception("starlette", "HTTPException", status_code=401),
        AgentError("Mine.", code="mine"),
        _endless(),
    ],
    ids=["unknown", "status of a tool", "ours", "its own cause"],
)
def test_what_is_not_known_is_none(error: Exception) -> None:
    assert explained(error) is None


@pytest.mark.parametrize(
    "name",
    [
        "openai.RateLimitError",
        "anthropic.RateLimitError",
        "langgraph.errors.GraphRecursionError",
        "agents.exceptions.MaxTurnsExceeded",
        "pydantic_ai.exceptions.UsageLimitExceeded",
        "httpx.ConnectError",
    ],
)
def test_the_published_classes_are_known(name: str) -> None:
    module, _, kind = name.rpartition(".")
    cls = getattr(importlib.import_module(module), kind)

    assert explained(cls.__new__(cls)) is not None


def test_the_documentation_has_every_text() -> None:
    rows = load(ROOT / "docs" / "frameworks.md").rows("Rules that hold for all adapters")

    assert {code(name)[0]: text for name, text in rows} == TEXTS
