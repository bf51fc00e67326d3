"""What operations of the OpenAPI document are made of."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["TEXT", "empty", "file", "get", "json_content", "path_id", "post", "query", "responses"]

TEXT: Final = {"type": "string"}


def path_id(name: str) -> dict[str, Any]:
    """Return a parameter that is part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def query(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "schema": schema or TEXT}


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON body."""
    return {"application/json": {"schema": schema}}


def responses(content: dict[str, Any], *, empty: bool = False) -> dict[str, Any]:
    """Return the responses of an operation; `empty`: 204 is one of them."""
    error = {
        "description": "Refused; nothing happened",
        "content": json_content({"$ref": "#/components/schemas/Error"}),
    }
    nothing = {"204": {"description": "Nothing is active"}} if empty else {}
    return {"200": {"description": "OK", "content": content}, **nothing, "4XX": error, "503": error}


def get(summary: str, schema: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return an operation that reads JSON."""
    return {"summary": summary, "parameters": parameters or [], "responses": responses(json_content(schema))}


def file(summary: str, media: str) -> dict[str, Any]:
    """Return an operation that reads a file."""
    known = {"304": {"description": "It is the one that is known"}}
    answers = responses({media: {"schema": TEXT}}) | known
    return {"summary": summary, "parameters": [], "responses": answers}


def post(
    summary: str,
    body: dict[str, Any],
    content: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    empty: bool = False,
) -> dict[str, Any]:
    """Return an operation with a JSON body."""
    return {
        "summary": summary,
        "parameters": parameters or [],
        "requestBody": {"required": True, "content": json_content(body)},
        "responses": responses(content, empty=empty),
    }


def empty(summary: str, parameters: list[dict[str, Any]], body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an operation that answers with nothing."""
    done = {status: it for status, it in responses({}).items() if status != "200"}
    posted = {} if body is None else {"requestBody": {"required": True, "content": json_content(body)}}
    return {
        "summary": summary,
        "parameters": parameters,
        **posted,
        "responses": {"204": {"description": "Done"}, **done},
    }
