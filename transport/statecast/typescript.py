"""TypeScript declarations of what agents declare: their states and commands, from the JSON Schemas that they publish.

The declarations also augment assistant-ui's types, so that its hooks know the state and the commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from statecast_agents import AddMessage, AddToolResult, Agent, Json

__all__ = ["declarations"]

#: Commands that assistant-ui declares itself.
DECLARED: Final = (AddMessage, AddToolResult)

#: The module whose types are augmented; its hooks read them.
AUGMENTED: Final = "@assistant-ui/react"

HEAD: Final = "// Made by `statecast types`. Make it again when the agent's types change.\n"

_NAMES: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


def declarations(agents: Sequence[Agent]) -> str:
    """Return the text of a `.d.ts` file with the types of agents: of each its state, and the commands of all.

    Args:
        agents: Agents with different names.

    Raises:
        ValueError: Two of them have different commands of the same name.
    """
    module = _Module()
    states = {
        agent.name: module.type_of(schema, filled=not agent.adopt)
        for agent in agents
        if (schema := agent.state_type.json_schema()) is not None
    }
    commands: dict[str, str] = {}
    for agent in agents:
        schemas = agent.commands.json_schema()
        for name, kind in agent.commands.types.items():
            if kind in DECLARED:
                continue
            further = {"additionalProperties": True} if kind is None else {}  # its fields are unchecked
            declared = module.type_of({**schemas[name], **further})
            if commands.setdefault(name, declared) != declared:
                raise ValueError(f'expected one command named "{name}", got several with different fields')
    parts = [HEAD, f'import "{AUGMENTED}";\n', *module.declared.values(), _augmentation(states, commands)]
    return "\n".join(part for part in parts if part)


class _Module:
    """The types of a module: each object with a name is an interface of its own."""

    def __init__(self) -> None:
        self.declared: dict[str, str] = {}  #: the declarations by their names, in order

    def type_of(self, schema: Mapping[str, Json], *, filled: bool = False) -> str:
        """Return the type that a schema describes, and declare the objects in it that have a name.

        Args:
            schema: A JSON Schema with its own `$defs`.
            filled: Whether fields with a default are always there.
        """
        return _Schema(self, schema, filled).root()

    def declare(self, name: str, body: Callable[[str], str]) -> str:
        """Declare an interface, and return its name, which differs if another interface has that one.

        Args:
            name: How it should be named.
            body: Returns its fields for the name that it gets, since it may refer to itself.
        """
        if not _is_name(name):
            name = re.sub(r"[^A-Za-z0-9]", "", name.title()) or "Type"
            name = name if _is_name(name) else f"Type{name}"
        name = name[0].upper() + name[1:]
        number, candidate = 1, name
        while self.declared.get(candidate, text := f"export interface {candidate} {body(candidate)}\n") != text:
            number += 1
            candidate = f"{name}{number}"
        self.declared[candidate] = text
        return candidate


class _Schema:
    """One schema and its definitions.

    Args:
        module: Gets the declarations.
        root: The schema.
        filled: Whether fields with a default are always there.
    """

    def __init__(self, module: _Module, root: Mapping[str, Json], filled: bool) -> None:
        self._module = module
        self._root = root
        self._definitions: Mapping[str, Any] = root.get("$defs", {})
        self._filled = filled
        self._names: dict[str, str] = {}  #: of the definitions that are declared, or are about to be

    def root(self) -> str:
        """Return the type of the whole schema."""
        if _is_record(self._root) and "title" in self._root:
            return self._module.declare(self._root["title"], lambda name: self._object(self._root))
        return self.type_of(self._root)

    def type_of(self, schema: Any) -> str:
        """Return the type of a part of the schema."""
        if schema is True:
            return "unknown"
        if "$ref" in schema:
            return self._referred(schema["$ref"].rpartition("/")[2])
        if "const" in schema or "enum" in schema:
            return _union(map(_literal, schema.get("enum", [schema.get("const")])))
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return _union(map(self.type_of, schema[several]))
        if "allOf" in schema:
            return " & ".join(map(self.type_of, schema["allOf"]))
        if "type" not in schema:
            return "unknown"
        kinds = schema["type"]
        return _union(self._simple(schema, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))

    def _simple(self, schema: Mapping[str, Any], kind: str) -> str:
        if kind == "array":
            return self._array(schema)
        if kind == "object":
            return self._object(schema)
        return _NAMES.get(kind, "unknown")

    def _array(self, schema: Mapping[str, Any]) -> str:
        first = [self.type_of(item) for item in schema.get("prefixItems", ())]
        rest = schema.get("items", True)
        if not first:
            return f"ReadonlyArray<{self.type_of(rest)}>"
        return f"readonly [{', '.join([*first, *([] if rest is False else [f'...{self.type_of(rest)}[]'])])}]"

    def _object(self, schema: Mapping[str, Any]) -> str:
        further = schema.get("additionalProperties", True)
        if "properties" not in schema:
            return f"{{ readonly [key: string]: {self.type_of(further) if further is not False else 'never'} }}"
        required = set(schema.get("required", ()))
        lines = []
        for name, field in schema["properties"].items():
            there = name in required or (self._filled and "default" in field)
            key = name if _is_name(name) else json.dumps(name)
            comment = f"  /** {field['description'].replace('*/', '* /')} */\n" if "description" in field else ""
            lines.append(f"{comment}  readonly {key}{'' if there else '?'}: {self.type_of(field)};\n")
        if schema.get("additionalProperties", False) is True:
            lines.append("  readonly [key: string]: unknown;\n")
        return f"{{\n{''.join(lines)}}}"

    def _referred(self, name: str) -> str:
        if name not in self._names:
            definition = self._definitions[name]
            if not _is_record(definition):
                return self.type_of(definition)

            def body(given: str) -> str:
                self._names[name] = given
                return self._object(definition)

            self._names[name] = self._module.declare(name, body)
        return self._names[name]


def _is_record(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema is of an object with certain fields."""
    return schema.get("type") == "object" and "properties" in schema


def _augmentation(states: Mapping[str, str], commands: Mapping[str, str]) -> str:
    """Return the augmentation of assistant-ui's types."""
    lines = []
    for name, entries in (("Commands", commands), ("ExternalState", states)):
        if entries:
            fields = "".join(f"      {json.dumps(key)}: {_indented(kind)};\n" for key, kind in entries.items())
            lines.append(f"    interface {name} {{\n{fields}    }}\n")
    if not lines:
        return ""
    return f'declare module "{AUGMENTED}" {{\n  namespace Assistant {{\n{"".join(lines)}  }}\n}}\n'


def _indented(text: str) -> str:
    return text.replace("\n", "\n      ")


def _union(types: Iterable[str]) -> str:
    several = sorted(set(types), key=lambda one: (one == "null", one))  # schemas of unions have no order of their own
    return " | ".join(several) or "never"


def _literal(value: Json) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool | int | float | str) else "unknown"


def _is_name(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None
