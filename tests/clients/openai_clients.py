"""OpenAI's published clients, the npm package and the one on PyPI, behind one interface: each judges for its users."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import openai

from tests.clients.driver import Driver, Json

__all__ = ["Asking", "Npm", "PyPI"]

PATIENCE = 30  # seconds for one request


class Asking(Protocol):
    """A client of a server.

    Each method answers with what the package returned as JSON, or, in `error`, with what it raised: its `name`,
    `message`, `status`, `code`, `type` and `param`.
    """

    def create(self, **body: Json) -> Json:
        """Ask, and answer with the `completion`."""

    def stream(self, *, leave_after: int | None = None, **body: Json) -> Json:
        """Ask, and answer with the `chunks`; given up after so many of them."""

    def accumulate(self, **body: Json) -> Json:
        """Ask, and answer with the `completion` that the package's own accumulator made of a stream."""

    def models(self) -> Json:
        """Answer with the `models`."""

    def model(self, name: str) -> Json:
        """Answer with one `model`."""

    def close(self) -> None:
        """Ask no more."""


class Npm:
    """The npm package, in a process of its own."""

    _idle: ClassVar[list[Driver]] = []  #: processes that are ready again: starting one takes longer than a request

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None) -> None:
        self._base = {"baseURL": base_url, "headers": dict(headers or {})}
        self._driver = self._idle.pop() if self._idle else Driver("openai.mjs")
        self._driver.timeout = PATIENCE

    def create(self, **body: Json) -> Json:
        return self._ask("create", body=body)

    def stream(self, *, leave_after: int | None = None, **body: Json) -> Json:
        return self._ask("stream", body=body, **({} if leave_after is None else {"leaveAfter": leave_after}))

    def accumulate(self, **body: Json) -> Json:
        return self._ask("accumulate", body=body)

    def run_tools(self, results: Mapping[str, Json], **body: Json) -> Json:
        """Let the package's own loop run tools; answers with the last `text`, the `messages` and the `calls`."""
        return self._ask("runTools", body=body, results=dict(results))

    def models(self) -> Json:
        return self._ask("models")

    def model(self, name: str) -> Json:
        return self._ask("model", name=name)

    def close(self) -> None:
        self._idle.append(self._driver)

    @classmethod
    def end(cls) -> None:
        """End the processes."""
        for driver in cls._idle:
            driver.close()

    def _ask(self, do: str, **fields: Json) -> Json:
        self._driver.tell({"do": do, **self._base, **fields})
        return self._driver.hear()


class PyPI:
    """The package on PyPI, in this process."""

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None) -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key="any", default_headers=headers, timeout=PATIENCE)

    def create(self, **body: Json) -> Json:
        return self._answer(lambda answer: answer.update(completion=self._completions.create(**body)))

    def stream(self, *, leave_after: int | None = None, **body: Json) -> Json:
        def follow(answer: dict[str, Any]) -> None:
            answer["chunks"] = []
            with self._completions.create(**body, stream=True) as stream:
                for chunk in stream:
                    answer["chunks"].append(chunk)
                    if len(answer["chunks"]) == leave_after:
                        return

        return self._answer(follow)

    def accumulate(self, **body: Json) -> Json:
        def follow(answer: dict[str, Any]) -> None:
            with self._completions.stream(**body) as stream:
                answer["completion"] = stream.get_final_completion()

        return self._answer(follow)

    def follow(self, seen: Callable[[str], object], **body: Json) -> Json:
        """Ask likewise, and tell of each text as it is by then."""

        def follow(answer: dict[str, Any]) -> None:
            with self._completions.stream(**body) as stream:
                for event in stream:
                    if event.type == "content.delta":
                        seen(event.snapshot)
                answer["completion"] = stream.get_final_completion()

        return self._answer(follow)

    def models(self) -> Json:
        return self._answer(lambda answer: answer.update(models=list(self._client.models.list())))

    def model(self, name: str) -> Json:
        return self._answer(lambda answer: answer.update(model=self._client.models.retrieve(name)))

    def close(self) -> None:
        self._client.close()

    @property
    def _completions(self) -> Any:
        return self._client.chat.completions

    def _answer(self, act: Any) -> Json:
        answer: dict[str, Any] = {}
        try:
            act(answer)
        except openai.APIError as error:
            answer["error"] = {
                "name": type(error).__name__,
                "message": error.message,
                "status": getattr(error, "status_code", None),
                "code": error.code,
                "type": error.type,
                "param": error.param,
            }
        return {name: _plain(value) for name, value in answer.items()}


def _plain(value: Any) -> Json:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return json.loads(value.model_dump_json(exclude_unset=True)) if hasattr(value, "model_dump_json") else value


atexit.register(Npm.end)
