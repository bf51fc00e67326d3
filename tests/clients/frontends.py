"""Clients of seven kinds that may be on one thread at once: each starts a run, or follows one that another started."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from tests.clients import ag_ui, chat, data_stream, node
from tests.clients.client_module import running
from tests.clients.conversing_agent import Part, Said, held
from tests.clients.local_runtime import LocalRuntime
from tests.clients.node import Json
from tests.clients.openai_clients import PyPI
from tests.clients.scenes import TEXT
from tests.clients.transport_checks import IDLE, PATIENCE, check, settings

__all__ = ["FRONTENDS", "Frontend"]


class Frontend(ABC):
    """A client on a thread.

    Args:
        url: Of the server.
        thread_id: The thread, which need not be there yet.
        stack: Closes the client.
    """

    def __init__(self, url: str, thread_id: str, stack: ExitStack) -> None:
        self.url = url
        self.thread_id = thread_id
        self.stack = stack

    @abstractmethod
    def start(self, text: str) -> None:
        """Say something, which starts a run."""

    @abstractmethod
    def join(self) -> None:
        """Follow the run that another client has started."""

    @abstractmethod
    def until(self, text: str) -> None:
        """Wait until the first text of the answer is this."""

    @abstractmethod
    def end(self) -> Said:
        """Wait until the run has ended; returns what is shown then."""

    def carried(self, said: Said) -> Said:
        """Return what of a conversation the client's protocol has a form for."""
        return said

    def loaded(self) -> list[Json]:
        """Return the messages that the thread has, as a page loads them."""
        return list(chat.state_of(self.url, self.thread_id)["messages"])


class Transport(Frontend):
    """`useAssistantTransportRuntime`."""

    def start(self, text: str) -> None:
        self._open()
        self._page.step("append", text=text)

    def join(self) -> None:
        self._open()
        self._page.step("resume")

    def until(self, text: str) -> None:
        self._page.step("wait", **{"for": {"path": TEXT, "equals": text}})

    def end(self) -> Said:
        self._page.step(**IDLE)
        report = self._page.told()
        check(report, self.url)
        return held(report.final_state)

    def _open(self) -> None:
        resume = f"{self.url}/resume?protocol=assistant-transport"
        config = settings(self.url, "assistant-transport", threadId=self.thread_id, resumeApi=resume)
        self._page = self.stack.enter_context(node.Transport(config))


class DataStream(Frontend):
    """`useDataStreamRuntime`; it joins as a page does that has a history."""

    def start(self, text: str) -> None:
        self._open()
        self._page.step("append", text=text)

    def join(self) -> None:
        self._open(history={"url": self.url, "threadId": self.thread_id})

    def until(self, text: str) -> None:
        self._page.step("wait", **{"for": {"text": text}})

    def end(self) -> Said:
        self._page.step(**IDLE)
        return data_stream.shown(data_stream.checked(self._page.told()).main["messages"])

    def _open(self, **more: Json) -> None:
        config = {"api": f"{self.url}/chat?protocol=data-stream", "body": {"threadId": self.thread_id}, **more}
        self._page = self.stack.enter_context(data_stream.Pages(config))


class Chat(Frontend):
    """The AI SDK's chat; it joins as a page does that was loaded again."""

    def start(self, text: str) -> None:
        self._open()
        self._chat.step("send", text=text)

    def join(self) -> None:
        self._open(messages=[message for message in self.loaded() if message["role"] == "user"])
        self._chat.step("resume")

    def until(self, text: str) -> None:
        self._chat.step("wait", **{"for": {"text": text}})

    def end(self) -> Said:
        self._chat.step(**IDLE)
        return chat.shown(chat.checked(self._chat.told()).main["messages"])

    def _open(self, **more: Json) -> None:
        config = {"api": f"{self.url}/chat", "id": self.thread_id, **more}
        self._chat = self.stack.enter_context(chat.Chats(config))


class Local(Frontend):
    """`useLocalRuntime` with an adapter that someone wrote by hand; it joins as a page does that has a history."""

    def start(self, text: str) -> None:
        self._open()
        self._page.step("append", text=text)

    def join(self) -> None:
        self._open(history={"url": self.url, "threadId": self.thread_id})

    def until(self, text: str) -> None:
        self._page.step("wait", **{"for": {"text": text}})

    def end(self) -> Said:
        self._page.step(**IDLE)
        report = self._page.report()
        assert (report.console, report.uncaught) == ([], [])
        return data_stream.shown(report.messages)

    def _open(self, **more: Json) -> None:
        page = LocalRuntime(f"{self.url}/sse", "whole", more={"threadId": self.thread_id}, **more)
        self._page = self.stack.enter_context(page)


class OpenAi(Frontend):
    """OpenAI's client; it joins by asking once more what was asked."""

    def start(self, text: str) -> None:
        self._asked = text
        self._text = ""
        self._changed = threading.Condition()
        client = PyPI(f"{self.url}/v1")
        self.stack.callback(client.close)
        pool = self.stack.enter_context(ThreadPoolExecutor(1))
        message = {"role": "user", "content": text}
        model = client.models()["models"][0]["id"]
        body: Any = {"model": model, "messages": [message], "metadata": {"thread_id": self.thread_id}}
        self._answer: Future[Json] = pool.submit(client.follow, self._heard, **body)

    def join(self) -> None:
        self.start(next(message["parts"][0]["text"] for message in self.loaded() if message["role"] == "user"))

    def until(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._text == text, PATIENCE)

    def end(self) -> Said:
        answer = self._answer.result(PATIENCE)
        assert "error" not in answer, answer
        message = answer["completion"]["choices"][0]["message"]
        said: list[Part] = [("reasoning", message["reasoning_content"]), ("text", message["content"])]
        return [("user", [("text", self._asked)]), ("assistant", said)]

    def carried(self, said: Said) -> Said:
        """Return texts: calls that the agent answers itself are no client's of OpenAI."""
        return [(role, _words(parts)) for role, parts in said]

    def _heard(self, text: str) -> None:
        with self._changed:
            self._text = text
            self._changed.notify_all()


def _words(parts: list[Part]) -> list[Part]:
    found = {kind: [part[1] for part in parts if part[0] == kind] for kind in ("reasoning", "text")}
    return [(kind, "\n\n".join(texts)) for kind, texts in found.items() if texts]


class Store(Frontend):
    """`client.js`, which external stores are made of."""

    def start(self, text: str) -> None:
        self._open()
        message = {"role": "user", "parts": [{"type": "text", "text": text}]}
        self._step("begin", **{"as": "said"}, commands=[{"type": "add-message", "message": message}], fields={})

    def join(self) -> None:
        self._open()

    def until(self, text: str) -> None:
        at = "".join(f"?.[{key!r}]" for key in TEXT)
        self._step("wait", **{"for": f"(s) => s.state{at} === {text!r}"})

    def end(self) -> Said:
        snapshot = self._step("wait", **{"for": '(s) => s.run?.status === "completed" && !s.isRunning'})["snapshot"]
        assert self._step("told")["wrong"] == []
        return held(snapshot["state"])

    def _open(self) -> None:
        self._module = self.stack.enter_context(running())
        self._step("connect", url=self.url, thread=self.thread_id)
        self._step("subscribe")

    def _step(self, step: str, **fields: Json) -> Json:
        return self._module.scenario.step(step, name="thread", **fields)


class AgUi(Frontend):
    """AG-UI's client; it joins by running without messages."""

    def start(self, text: str) -> None:
        self._open()
        self._client.step("say", text=text)

    def join(self) -> None:
        self._open()
        self._client.step("run")

    def until(self, text: str) -> None:
        self._client.step("wait", **{"for": {"text": text}})

    def end(self) -> Said:
        self._client.step(**IDLE)
        report = ag_ui.checked(self._client.told())
        return ag_ui.agrees(report, self.url)

    def _open(self) -> None:
        config = {"url": f"{self.url}/ag-ui", "threadId": self.thread_id}
        self._client = self.stack.enter_context(ag_ui.Clients(config))


#: One for each row of the table of frontends.
FRONTENDS: tuple[type[Frontend], ...] = (Transport, DataStream, Chat, Local, OpenAi, Store, AgUi)
