"""Tools that a model may call: Python functions, and frontend tools that the page registers.

A function's parameters become the JSON Schema that the model sees. The model's arguments are checked against it before
the function is called. Parameters annotated with `Run` and `ToolCall` receive the run and the call, and are hidden from
the model.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from statecast_agents.document import to_json
from statecast_agents.functions import is_async
from statecast_agents.message import ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["FunctionTool", "InvalidArguments", "Tool", "page_tools", "tool"]

#: Whether a call needs the user's approval, or a function that decides it from the arguments in the parameters' types.
Approval = bool | Callable[[dict[str, Any]], bool]


class Tool:
    """A tool that a model may call.

    Args:
        name: The tool's name.
        description: Its description for the model.
        parameters: The JSON Schema of its arguments, an object.
        function: The function to call with the arguments; None: the page answers its calls.
        needs_approval: Whether the user must approve a call first.
    """

    def __init__(
        self,
        name: str,
        description: str = "",
        parameters: Mapping[str, Json] | None = None,
        function: Callable[..., Any] | None = None,
        *,
        needs_approval: Approval = False,
    ) -> None:
        self.name = name
        self.description = description
        self.parameters = dict(parameters or {"type": "object", "properties": {}})
        self.function = function
        self.needs_approval = needs_approval

    def must_ask(self, args: dict[str, Json]) -> bool:
        """Return whether the user must approve a call with these arguments.

        Raises:
            InvalidArguments: The arguments do not fit the function's parameters, so there is nothing to approve.
        """
        return self.needs_approval(args) if callable(self.needs_approval) else self.needs_approval

    async def call(self, run: Run, call: ToolCall, args: dict[str, Json]) -> Any:
        """Call the function, a plain `def` in a worker thread, and return its result.

        Raises:
            InvalidArguments: The arguments do not fit the function's parameters.
        """
        function = self.function
        assert function is not None
        if is_async(function):
            return await function(**args)
        result = await run.in_thread(lambda: function(**args))
        return await result if inspect.isawaitable(result) else result

    async def settle(self, run: Run, call: ToolCall, args: dict[str, Json]) -> None:
        """Call the tool, and set the result of the call. A tool that asks the user about the call leaves it open.

        Raises:
            NotJson: A state cannot hold the result.
            Exception: As `call`.
        """
        call.set_result(to_json(await self.call(run, call, args)))

    def holds(self, run: Run, call: ToolCall) -> bool:
        """Return whether the tool itself left a call open, to continue it with `resume`."""
        return False

    async def resume(self, run: Run, call: ToolCall, answers: Mapping[str, Mapping[str, Json]]) -> None:
        """Continue a call that the tool left open.

        Args:
            run: The run.
            call: The call.
            answers: The run's answers, by the question's id.

        Raises:
            Exception: As `settle`.
        """


class FunctionTool(Tool):
    """A tool made from a Python function.

    Args:
        function: The function. Its name, docstring and annotations become the tool's.
        needs_approval: Whether the user must approve a call first.

    Raises:
        TypeError: A parameter has a type without a JSON Schema, or cannot be passed by name.
    """

    def __init__(self, function: Callable[..., Any], *, needs_approval: Approval = False) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        self._given: dict[str, type] = {}  #: by name, the parameters that no model passes
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for parameter in inspect.signature(function).parameters.values():
            kind = hints.get(parameter.name, Any)
            given = typing.get_origin(kind) or kind
            if given in (Run, ToolCall):
                self._given[parameter.name] = given
            elif parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"expected parameters of a tool that have a name, got {parameter} in {function!r}")
            elif parameter.default is parameter.empty:
                fields.append((parameter.name, kind))
            else:
                fields.append((parameter.name, kind, parameter.default))
        name = getattr(function, "__name__", type(function).__name__)
        self._arguments = _arguments(name, fields)
        description = inspect.getdoc(function) or ""
        super().__init__(name, description, self._arguments.schema, function, needs_approval=needs_approval)

    def must_ask(self, args: dict[str, Json]) -> bool:
        return self.needs_approval is not False and super().must_ask(self._arguments.read(args))

    async def call(self, run: Run, call: ToolCall, args: dict[str, Json]) -> Any:
        given = {name: run if kind is Run else call for name, kind in self._given.items()}
        return await super().call(run, call, self._arguments.read(args) | given)


@typing.overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@typing.overload
def tool(*, needs_approval: Approval = False) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(function: Callable[..., Any] | None = None, /, *, needs_approval: Approval = False) -> Any:
    """Turn the decorated function into a tool: `@tool`, or `@tool(needs_approval=True)`.

    Raises:
        TypeError: A parameter has a type without a JSON Schema, or cannot be passed by name.
    """
    if function is not None:
        return FunctionTool(function)
    return lambda decorated: FunctionTool(decorated, needs_approval=needs_approval)


def page_tools(tools: Mapping[str, Json]) -> list[Tool]:
    """Return the tools that the page registers, as `run.request.tools` has them."""
    found = []
    for name, declared in tools.items():
        given = declared if isinstance(declared, dict) else {}
        parameters = given.get("parameters")
        description = given.get("description")
        found.append(
            Tool(
                name,
                description if isinstance(description, str) else "",
                parameters if isinstance(parameters, dict) else None,
            )
        )
    return found


class InvalidArguments(ValueError):
    """Arguments of a model that do not fit the tool's parameters. The text is for the model."""


class _Arguments(typing.Protocol):
    """The parameters of a function, as a type."""

    schema: dict[str, Json]

    def read(self, args: dict[str, Json]) -> dict[str, Any]:
        """Return the arguments in the parameters' types.

        Raises:
            InvalidArguments: They do not fit.
        """


class _Plain:
    """Parameters whose types msgspec knows."""

    def __init__(self, name: str, fields: Sequence[Any]) -> None:
        self._type = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
        _, definitions = msgspec.json.schema_components([self._type], ref_template="#/$defs/{name}")
        self.schema = definitions.pop(self._type.__name__)
        self.schema.pop("title", None)
        if definitions:
            self.schema["$defs"] = definitions

    def read(self, args: dict[str, Json]) -> dict[str, Any]:
        try:
            struct = msgspec.convert(args, self._type)
        except msgspec.ValidationError as error:
            raise InvalidArguments(str(error)) from None
        return {name: getattr(struct, name) for name in self._type.__struct_fields__}


class _Pydantic:
    """Parameters of which one has a type of pydantic's."""

    def __init__(self, name: str, fields: Sequence[Any]) -> None:
        import pydantic

        given: dict[str, Any] = {field[0]: (field[1], field[2] if len(field) > 2 else ...) for field in fields}
        self._error = pydantic.ValidationError
        self._type: Any = pydantic.create_model(name, __config__=pydantic.ConfigDict(extra="forbid"), **given)
        self.schema = self._type.model_json_schema()
        self.schema.pop("title", None)

    def read(self, args: dict[str, Json]) -> dict[str, Any]:
        try:
            model = self._type.model_validate(args)
        except self._error as error:
            problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise InvalidArguments("; ".join(problems)) from None
        return {name: getattr(model, name) for name in self._type.model_fields}


def _arguments(name: str, fields: Sequence[Any]) -> _Arguments:
    """Return the parameters of a function as a type.

    Raises:
        TypeError: One has a type without a JSON Schema.
    """
    try:
        return _Plain(name, fields)
    except TypeError:
        if any(_is_pydantic(field[1]) for field in fields):
            return _Pydantic(name, fields)
        raise


def _is_pydantic(kind: Any) -> bool:
    """Return whether a type is a pydantic model, or has one in it."""
    return hasattr(kind, "__pydantic_core_schema__") or any(map(_is_pydantic, typing.get_args(kind)))
