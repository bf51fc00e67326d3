"""assistant-ui's list of threads in a page, with the adapters of `adapters.js`: thread_list.mjs, from Python."""

from __future__ import annotations

from dataclasses import dataclass

from statecast.http.endpoints.client_module import BROWSER
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["MODULE", "ListPage", "ListReport"]

MODULE = BROWSER / "adapters.js"


@dataclass(frozen=True)
class ListReport:
    """What the page did in one scenario."""

    threads: list[Json]  #: in the list, as the runtime has them
    has_more: bool  #: whether the list goes on
    tree: list[Json]  #: the messages of the thread that is shown, with branches: {message, parentId, isDated}
    head_id: Json  #: where the conversation stands
    messages: list[Json]  #: of the branch that is shown
    suggestions: list[Json]  #: each list of them that was shown
    attachments: list[Json]  #: of the message that is being written
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def said(self) -> list[tuple[str, str]]:
        """Who said what, on the branch that is shown."""
        return [(message["role"], text_of(message)) for message in self.messages]

    @property
    def branches(self) -> list[tuple[str, str]]:
        """What was said, each after what it follows; "" before the first."""
        texts = {item["message"]["id"]: text_of(item["message"]) for item in self.tree}
        return [(texts.get(item["parentId"], ""), text_of(item["message"])) for item in self.tree]

    @property
    def titles(self) -> dict[str, str]:
        """The status of each thread, by its title."""
        return {thread.get("title", ""): thread["status"] for thread in self.threads}

    def checked(self) -> ListReport:
        """Return this, if nobody complained."""
        assert [line["text"] for line in self.console if line["level"] in ("warn", "error")] == []
        assert self.uncaught == []
        assert all(item["isDated"] for item in self.tree)
        return self


def text_of(message: Json) -> str:
    """Return what a message says, its attachments left out."""
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


class ListPage(Scenario[ListReport]):
    """The page, step by step.

    Args:
        url: Of the server.
        settings: Further ones of thread_list.mjs.
    """

    script = "thread_list.mjs"
    reported = ListReport

    def __init__(self, url: str, **settings: Json) -> None:
        super().__init__({"url": url, "adapters": MODULE.as_uri(), **settings})
