"""The tools of an MCP server, as tools that models may call.

The package's client hides the exceptions of failed tools. The server's messages about other errors go only to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import anyio
from mcp import Client, MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types import Tool as Definition

from statecast_agents.commands import Answer
from statecast_agents.document import to_json
from statecast_agents.errors import AgentError, NotJson
from statecast_agents.frameworks.adapter.conversation import arguments_of
from statecast_agents.frameworks.adapter.tools import Approval, Tool
from statecast_agents.message import ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["Connection", "MCPTool"]

#: What a model reads of a call that the server did not answer.
FAILED: Final = "The tool failed."

#: The beginning of the names in `run.memory` of what calls wait for; the call's id follows.
SLOT: Final = "mcp:"

#: How often a call is repeated for a server that asks for that without asking the user, and after how many seconds.
REPEATS: Final = 20
REPEAT_SECONDS: Final = 0.25

_log: Final = logging.getLogger("statecast")


class MCPTool(Tool):
    """A tool of an MCP server. `await tool(**arguments)` calls it from anywhere within the run.

    Args:
        connection: The server.
        definition: The tool, as the server describes it.
        prefix: Put in front of its name.
        needs_approval: Whether the user must approve a call first.
    """

    def __init__(
        self, connection: Connection, definition: Definition, prefix: str = "", *, needs_approval: Approval = False
    ) -> None:
        super().__init__(
            prefix + definition.name,
            definition.description or "",
            definition.input_schema,
            self.__call__,
            needs_approval=needs_approval,
        )
        self.__name__ = self.name
        self.__doc__ = self.description
        self.definition = definition  #: as the server describes it
        self._connection = connection

    async def __call__(self, **args: Json) -> Json:
        """Call the tool, and return its result. Questions of the server are cancelled, because no call can show them.

        Raises:
            AgentError: "tool_failed": the server reports an error; the text is the server's.
        """
        result = await self._connection.client.call_tool(self.definition.name, args)
        if result.is_error:
            raise AgentError(_text(result) or FAILED, code="tool_failed")
        return _value(result)

    async def settle(self, run: Run, call: ToolCall, args: dict[str, Json]) -> None:
        await self._show_app(call)
        await self._show(run, call, self._request(call, args, {}, None))

    def holds(self, run: Run, call: ToolCall) -> bool:
        return _slot(call) in run.memory

    async def resume(self, run: Run, call: ToolCall, answers: Mapping[str, Mapping[str, Json]]) -> None:
        """Repeat a call when all of its questions are answered. Until then, the answers are kept."""
        waiting = run.memory[_slot(call)]
        given = {**waiting["given"], **{id: dict(answers[id]) for id in waiting["keys"] if id in answers}}
        if len(given) < len(waiting["keys"]):
            run.memory[_slot(call)] = {**waiting, "given": given}
            return
        del run.memory[_slot(call)]
        responses = {key: _response(given[id]) for id, key in waiting["keys"].items()}
        await self._show(run, call, self._repeat(call, responses, waiting["state"], waiting["requests"]))

    async def _show(self, run: Run, call: ToolCall, request: Awaitable[CallToolResult | InputRequiredResult]) -> None:
        """Send a request, and show on the call what comes of it."""
        try:
            with self._connection.asking(run, call):
                found = await request
        except MCPError:
            _log.exception('the tool "%s" of an MCP server failed in run %s', self.name, run.id)
            found = None
        call.part.pop("progress", None)
        if found is None:
            call.set_result(FAILED, is_error=True)
        elif isinstance(found, CallToolResult):
            self._settle(call, found)
        else:
            self._ask(run, call, found)

    async def _repeat(
        self, call: ToolCall, responses: Mapping[str, ElicitResult], state: str | None, requests: Json
    ) -> CallToolResult | InputRequiredResult:
        """Repeat a call with answers to its questions.

        A server that was started anew may not know the call any more. Then it is called as if for the first time, and
        gets the answers if it asks the same.

        Args:
            call: The call.
            responses: The answers, by the server's keys.
            state: What the server wants back.
            requests: What it had asked.

        Raises:
            MCPError: The server, or the connection, failed.
        """
        args = arguments_of(call) or {}
        try:
            return await self._request(call, args, responses, state)
        except MCPError as error:
            if error.code != INVALID_PARAMS:
                raise
        found = await self._request(call, args, {}, None)
        if isinstance(found, InputRequiredResult) and _requests(found) == requests:
            return await self._request(call, args, responses, found.request_state)
        return found

    async def _request(
        self, call: ToolCall, args: dict[str, Json], responses: Mapping[str, ElicitResult], state: str | None
    ) -> CallToolResult | InputRequiredResult:
        """Call the tool. While the server asks to be called again without asking the user, it is.

        Raises:
            MCPError: The server, or the connection, failed.
        """

        async def show(progress: float, total: float | None, message: str | None) -> None:
            fields = {"progress": progress, "total": total, "message": message}
            call.part["progress"] = {name: value for name, value in fields.items() if value is not None}

        for _ in range(REPEATS):
            found = await self._connection.client.session.call_tool(
                self.definition.name,
                args,
                input_responses=dict(responses) or None,
                request_state=state,
                progress_callback=show,
                allow_input_required=True,
            )
            if not isinstance(found, InputRequiredResult) or found.input_requests:
                return found
            responses, state = {}, found.request_state
            await anyio.sleep(REPEAT_SECONDS)
        return found

    def _ask(self, run: Run, call: ToolCall, required: InputRequiredResult) -> None:
        """Ask the user on the call what the server asks, or fail the call if it asks for anything else."""
        requests = required.input_requests or {}
        asked = {key: one.params for key, one in requests.items() if isinstance(one, ElicitRequest)}
        if not asked or len(asked) < len(requests):
            call.set_result(FAILED, is_error=True)
            return
        _forget_answered(run)
        keys = {_question(run, call, params): key for key, params in asked.items()}
        run.memory[_slot(call)] = {
            "keys": keys,
            "state": required.request_state,
            "requests": _requests(required),
            "given": {},
        }

    def _settle(self, call: ToolCall, result: CallToolResult) -> None:
        if "mcp" not in call.part:
            call.set_result(_value(result), is_error=result.is_error)
            return
        # The app reads the result as the server gave it; the model reads its texts.
        call.part["modelContent"] = [{"type": "text", "text": _text(result)}]
        whole = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        call.set_result(_state_value(whole, _text(result)), is_error=result.is_error)

    async def _show_app(self, call: ToolCall) -> None:
        """Show on the call what a page needs for the tool's app, if the tool has one."""
        ui = _ui(self.definition)
        if not isinstance(ui.get("resourceUri"), str):
            return
        app = {"resourceUri": ui["resourceUri"], "serverId": self._connection.name}
        call.part["mcp"] = {"app": {name: value for name, value in app.items() if value is not None}}
        resource = await self._connection.resource(ui["resourceUri"])
        if resource is not None:
            call.part["artifact"] = {"resource": resource}


class _Asking(NamedTuple):
    """A call that is under way."""

    run: Run
    call: ToolCall
    variables: contextvars.Context  #: of the code that made it


class Connection:
    """A connection to a server.

    Args:
        name: The server's name.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._calls: list[_Asking] = []  #: that are under way, and can show questions
        self._resources: dict[str, Json] = {}

    async def open(self, client: Client) -> list[Definition]:
        """Take the client, and return the server's tools, without those that are for its apps only."""
        self.client = client
        found: list[Definition] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                return [one for one in found if "model" in _ui(one).get("visibility", ["model"])]

    @contextlib.contextmanager
    def asking(self, run: Run, call: ToolCall) -> Iterator[None]:
        """Show what the server asks within a call on it, for the time of the block."""
        entry = _Asking(run, call, contextvars.copy_context())
        self._calls.append(entry)
        try:
            yield
        finally:
            self._calls.remove(entry)

    async def elicit(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        """Ask the user what a server of an older protocol asks within a call, and wait for the answer.

        Such a server does not say which call asks. If several are under way, the question is on none of them, and all
        of them count as waiting.
        """
        if not self._calls:
            return ElicitResult(action="cancel")
        run, call, _ = self._calls[0]
        asked = _question(run, call if len(self._calls) == 1 else None, params)
        waits = [
            asyncio.create_task(_wait_for_answer(run, asked), context=variables) for _, _, variables in self._calls
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return _response(run.answers[asked])

    async def resource(self, uri: str) -> Json:
        """Return the document of an app, as assistant-ui's `McpAppResource`; None if the server has none."""
        if uri not in self._resources:
            try:
                read = await self.client.read_resource(uri)
            except MCPError:
                _log.exception('the app "%s" of an MCP server cannot be read', uri)
                return None
            self._resources[uri] = next(filter(None, map(_document, read.contents)), None)
        return self._resources[uri]


def _document(content: Any) -> Json:
    html = getattr(content, "text", None)
    if not isinstance(html, str):
        return None
    meta = (content.meta or {}).get("ui")
    fields = {"uri": content.uri, "mimeType": content.mime_type, "html": html, "meta": meta}
    return {name: value for name, value in fields.items() if value is not None}


async def _wait_for_answer(run: Run, asked: str) -> None:
    await run.wait_for(Answer, where=lambda command: asked in command.answers)


def _question(run: Run, call: ToolCall | None, params: ElicitRequestParams) -> str:
    """Ask the user, and return the question's id."""
    if isinstance(params, ElicitRequestFormParams):
        return run.ask(params.message, kind="input", schema=params.requested_schema, call=call)
    return run.ask(f"{params.message}\n{params.url}", call=call)


def _requests(required: InputRequiredResult) -> Json:
    """Return what a server asks, by its keys."""
    requests = required.input_requests or {}
    return {key: one.model_dump(mode="json", by_alias=True, exclude_none=True) for key, one in requests.items()}


def _response(answer: Mapping[str, Json]) -> ElicitResult:
    """Return a user's answer as the server reads it."""
    if answer.get("approved") is True:
        return ElicitResult(action="accept", content=answer.get("value"))
    return ElicitResult(action="cancel" if answer.get("dismissed") else "decline")


def _value(result: CallToolResult) -> Json:
    """Return a result as a value: its structured content, its text, or, if it has other content, all of that."""
    structured, text = result.structured_content, _text(result)
    if structured is not None:
        wrapped = isinstance(structured, dict) and structured.keys() == {"result"}
        return _state_value(structured["result"] if wrapped else structured, text)
    if all(content.type == "text" for content in result.content):
        return text
    return [content.model_dump(mode="json", by_alias=True, exclude_none=True) for content in result.content]


def _state_value(value: Json, text: str) -> Json:
    """Return a value that a state can hold: `value`, or `text` if the state cannot."""
    try:
        return to_json(value)
    except NotJson:
        return text


def _text(result: CallToolResult) -> str:
    return "\n".join(content.text for content in result.content if content.type == "text")


def _ui(definition: Definition) -> Mapping[str, Json]:
    """Return what a tool says of its app; empty if it has none."""
    ui = (definition.meta or {}).get("ui")
    return ui if isinstance(ui, dict) else {}


def _slot(call: ToolCall) -> str:
    """Return the name in `run.memory` of what a call waits for."""
    return f"{SLOT}{call.id}"


def _forget_answered(run: Run) -> None:
    """Forget what calls waited for that are open no more, because their questions were dismissed."""
    for name in [name for name in run.memory if name.startswith(SLOT)]:
        call = run.messages.find_tool_call(name.removeprefix(SLOT))
        if call is None or not call.open:
            del run.memory[name]
