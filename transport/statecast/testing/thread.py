"""`TestThread`: a conversation on one thread, in the turns of a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from statecast.protocol.messages.state_messages import items_in, parts_of, role_of
from statecast_agents import Command, Json, new_id

from .asgi import Response
from .errors import Refused, RunFailed
from .result import Result

__all__ = ["Failures", "TestThread"]

#: Takes the exception of an agent by the id of its run; None: it has raised none in this process.
Failures = Callable[[str], BaseException | None]


class Requests(Protocol):
    """The requests of a `TestClient` that a conversation makes."""

    async def run(
        self, *commands: str | Command | Mapping[str, Json], state: Json, thread_id: str | None, **fields: Json
    ) -> Result:
        """Send a batch of commands."""

    async def post(self, path: str, *, json: Json) -> Response:
        """Send a POST."""


class TestThread:
    """A conversation on one thread. Each turn returns when the run has ended, or waits for its user.

    It keeps the state between turns, as a page does. A turn raises what the agent raised: the very exception, as far as
    it comes from the agent; RunFailed if the run failed in another way; Refused if the server refused the request.

    Args:
        client: Sends the requests.
        thread_id: The thread.
        fields: Of every request's body: `agent`, `system`, ….
        failures: Returns what the agent raised in a run.
        messages: Where the state has the messages; None: nowhere.
        pending: Where it has the open questions; None: nowhere.
    """

    __test__ = False  #: for pytest: it is no class of tests

    def __init__(
        self,
        client: Requests,
        thread_id: str,
        fields: Mapping[str, Json],
        *,
        failures: Failures,
        messages: Sequence[str] | None,
        pending: Sequence[str] | None,
    ) -> None:
        self.id = thread_id
        self._client = client
        self._fields = fields
        self._failures = failures
        self._messages = messages
        self._pending = pending
        self._last: Result | None = None

    @property
    def last(self) -> Result:
        """The result of the last turn.

        Raises:
            RuntimeError: There was none.
        """
        if self._last is None:
            raise RuntimeError('expected a turn before its result, as in `await t.say("Hello")`, got none')
        return self._last

    @property
    def state(self) -> Json:
        """The state after the last turn, as a page has it."""
        return None if self._last is None else self._last.state

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the state."""
        return [message for message in items_in(self.state, self._messages) if isinstance(message, dict)]

    @property
    def text(self) -> str:
        """What the assistant has said since the user's last message: the texts of its messages, a line each."""
        texts: list[str] = []
        for message in reversed(self.messages):
            if role_of(message) == "user":
                break
            parts = [part["text"] for part in parts_of(message) if part.get("type") == "text" and part.get("text")]
            texts = [*parts, *texts]
        return "\n".join(texts)

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What the thread waits for: open questions, and tool calls of the page without a result.

        Each has an `id` and a `name`: the call's tool, or the question's kind. A call has its `args`, a question its
        `prompt`.
        """
        asked = [one for one in items_in(self.state, self._pending) if isinstance(one, dict)]
        found = [{"name": one.get("kind"), **one} for one in asked]
        about = {one.get("callId") for one in asked}
        for message in self.messages:
            for part in parts_of(message):
                is_open = part.get("type") == "tool-call" and {"result", "cutOff"}.isdisjoint(part)
                if is_open and part["toolCallId"] not in about:
                    found.append({"id": part["toolCallId"], "name": part["toolName"], "args": part.get("args")})
        return found

    async def say(self, text: str, **fields: Json) -> Result:
        """Say something as the user, and return the result of the turn.

        Args:
            text: The message.
            fields: Of the request beside these: `system`, `policy`, ….
        """
        return await self.send(text, **fields)

    async def send(self, *commands: str | Command | Mapping[str, Json], **fields: Json) -> Result:
        """Send a batch of commands, and return the result of the turn.

        Args:
            commands: Each as JSON, or as an instance of its class; a text is a message of the user.
            fields: Of the request beside these.

        Raises:
            BaseException: What the agent raised.
            RunFailed: The run failed, and not by what its agent raised here.
            Refused: The server refused the request.
        """
        claim = msgspec.UNSET if self._last is None else self._last.state
        more = {**self._fields, **fields}
        result = await self._client.run(*commands, state=claim, thread_id=self.id, **more)
        if result.status != 200:
            raise Refused(result.status, result.error or {})
        self._last = result
        if result.error is not None:
            raised = self._failures(result.headers.get("statecast-run-id", ""))
            raise raised or RunFailed(result.error)
        return result

    async def approve(self, reason: str | None = None, *, to: str | None = None) -> Result:
        """Approve what the thread asks approval for. Arguments and errors as for `answer`."""
        return await self.answer({"approved": True} | ({} if reason is None else {"reason": reason}), to=to)

    async def deny(self, reason: str | None = None, *, to: str | None = None) -> Result:
        """Deny what the thread asks approval for. Arguments and errors as for `answer`."""
        return await self.answer({"approved": False} | ({} if reason is None else {"reason": reason}), to=to)

    async def answer(self, value: Json, *, to: str | None = None) -> Result:
        """Answer an open question, or give an open tool call of the page its result.

        Args:
            value: The answer, or the result.
            to: The id or the name of what is answered, see `questions`; None: the only one.

        Raises:
            LookupError: Nothing of that name is open, or more than one; the text lists what is.
        """
        asked = self._asked(to)
        if "args" not in asked:
            return await self.send({"type": "answer", "answers": {asked["id"]: value}})
        call = {"toolCallId": asked["id"], "toolName": asked["name"], "result": value}
        return await self.send({"type": "add-tool-result", "id": new_id("cmd"), **call})

    async def cancel(self) -> bool:
        """Cancel the active run, which may wait; return whether there was one."""
        response = await self._client.post("/cancel", json={"threadId": self.id})
        await self.send()
        return bool(response.json()["cancelled"])

    def _asked(self, to: str | None) -> dict[str, Any]:
        every = self.questions
        found = every if to is None else [one for one in every if to in (one["id"], one["name"])]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"{one['name']} ({one['id']})" for one in every) or "none"
        wanted = "one open question" if to is None else f'one open question "{to}"'
        raise LookupError(f"expected {wanted}, got {len(found)}; open: {listed}")
