"""The published client of Assistant Cloud, in Node: cloud.mjs, from Python."""

from __future__ import annotations

import atexit
import itertools
from collections.abc import Sequence
from typing import ClassVar

from tests.clients.driver import Driver, Json

__all__ = ["CloudClient", "CloudFailed", "said", "text_of"]

PATIENCE = 30  # seconds for one call


class CloudFailed(AssertionError):
    """The client threw an error.

    Args:
        error: Its `name`, `message`, `status`, `code` and `details`.
    """

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['name']} {error['status']} {error['code']}: {error['message']}")
        self.name: str = error["name"]
        self.message: str = error["message"]
        self.status: int | None = error["status"]
        self.code: str | None = error["code"]
        self.details: Json = error["details"]


class CloudClient:
    """One `AssistantCloud`, as a page or a server has it; all of them live in one process.

    Args:
        base_url: Of the server.
        storage: The name of the browser's localStorage, which several clients may share; None: there is none.
        tokens: What the application's `authToken` returns, one after another, the last again and again.
        config: Further settings; without `tokens` or `apiKey`, an anonymous identity.
    """

    _driver: ClassVar[Driver | None] = None
    _numbers: ClassVar = itertools.count(1)

    def __init__(
        self, base_url: str, *, storage: str | None = None, tokens: Sequence[str] | None = None, **config: Json
    ) -> None:
        if CloudClient._driver is None:
            CloudClient._driver = Driver("cloud.mjs")
            CloudClient._driver.timeout = PATIENCE
        self._name = str(next(self._numbers))
        self.requests: list[Json] = []  #: of the latest call: {method, path, status}
        settings: Json = {"baseUrl": base_url, **config}
        if tokens is None and "apiKey" not in config:
            settings["anonymous"] = True
        more: Json = {} if tokens is None else {"tokens": list(tokens)}
        self._ask({"do": "open", "client": self._name, "config": settings, "storage": storage, **more})

    def call(self, path: str, *args: Json) -> Json:
        """Call a method of the client, such as `threads.list`, and return what it returned.

        Raises:
            CloudFailed: It threw an error.
        """
        return self._ask({"do": "call", "client": self._name, "path": path, "args": list(args)})

    def create(self, **fields: Json) -> str:
        """Create a thread, and return its id."""
        fields = {"last_message_at": "2026-01-02T03:04:05.678Z", **fields}
        thread_id: str = self.call("threads.create", fields)["thread_id"]
        return thread_id

    def write(self, thread_id: str, role: str, text: str, parent_id: str | None = None) -> str:
        """Write a message of assistant-ui's form into a thread's history, and return its id."""
        body = {"parent_id": parent_id, "format": "aui/v0", "content": said(role, text)}
        message_id: str = self.call("threads.messages.create", thread_id, body)["message_id"]
        return message_id

    def texts(self, thread_id: str, **query: Json) -> list[tuple[str, str]]:
        """Return who said what in a thread, oldest first."""
        query = {"format": "aui/v0", **query}
        listed = self.call("threads.messages.list", thread_id, query)["messages"]
        return [(message["content"]["role"], text_of(message["content"])) for message in listed[::-1]]

    def title(self, thread_id: str, *messages: Json) -> Json:
        """Ask for a title, and return the stream's chunks."""
        asked = {"thread_id": thread_id, "assistant_id": "system/thread_title", "messages": list(messages)}
        return self.call("runs.stream", asked)["chunks"]

    @classmethod
    def end(cls) -> None:
        """End the process."""
        if cls._driver is not None:
            cls._driver.close()

    def _ask(self, request: Json) -> Json:
        assert CloudClient._driver is not None
        CloudClient._driver.tell(request)
        answer = CloudClient._driver.hear()
        self.requests = answer["requests"]
        if "error" in answer:
            raise CloudFailed(answer["error"])
        return answer["value"]


def said(role: str, text: str) -> Json:
    """Return a message as the local runtime stores it."""
    metadata: Json = {"unstable_annotations": [], "unstable_data": [], "steps": [], "custom": {}}
    status = {"status": {"type": "complete", "reason": "stop"}} if role == "assistant" else {}
    return {"role": role, "content": [{"type": "text", "text": text}], "metadata": metadata, **status}


def text_of(content: Json) -> str:
    """Return the text of a message, of assistant-ui's form or the AI SDK's."""
    parts = content["content"] if "content" in content else content["parts"]
    return "".join(part["text"] for part in parts if part["type"] == "text")


atexit.register(CloudClient.end)
