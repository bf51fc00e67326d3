"""Errors are a tree without HTTP, and one table gives each class its status."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import statecast
import statecast_agents
from statecast.http import errors as http_errors
from statecast.http.cloud import errors as cloud_errors
from statecast.http.response.statuses import headers_of, status_of
from statecast.protocol import errors
from statecast.protocol.errors import RequestError
from statecast.stores import StoreUnavailable
from statecast.threads.errors import ResumeMismatch, TooManyRuns, UnknownThread
from statecast_agents.errors import MessageConflict, UnknownCommand

PACKAGES = {
    "statecast_agents.errors": "agents",
    "statecast.protocol.errors": "",
    "statecast.threads.errors": "threads",
    "statecast.stores.errors": "stores",
    http_errors.__name__: "http",
    cloud_errors.__name__: "cloud",
}

#: What is below HTTP.
BELOW = [
    Path(statecast_agents.__path__[0]),
    *(Path(statecast.__path__[0]) / name for name in ("protocol", "history", "stores", "files", "threads")),
]

#: Numbers that are no statuses, and statuses of a storage's and of model providers' own answers.
NOT_STATUSES = {
    ("users.py", "MAX_ID"),
    ("entries.py", "FULL"),
    ("commits.py", "LINES"),
    ("s3.py", "_NO_OBJECT"),
    ("explain.py", "_STATUS"),
    ("explain.py", ""),
}


def test_the_drawing_shows_every_class_below_its_base() -> None:
    found = {}
    for kind in _below(RequestError):
        base = kind.__bases__[0]
        if base is RequestError or kind.__module__ != RequestError.__module__:
            found[kind.__name__] = (PACKAGES[kind.__module__], base.__name__)

    assert dict(_drawn(errors.__doc__ or "")) == found


def _below(base: type[RequestError]) -> Iterator[type[RequestError]]:
    for kind in base.__subclasses__():
        if kind.__module__ in PACKAGES:
            yield kind
            yield from _below(kind)


def _drawn(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each class of the drawing, its package, and its base."""
    above = ["RequestError"]
    package, depth = "", 0
    drawing = text.split("\n\n")[1].splitlines()[1:]
    for line in drawing:
        branch, said = re.findall(r"^([ │├└─]+)(.*)$", line)[0]
        names = re.split(r"  +", said)[0]
        if "──" in branch:
            depth = len(branch) // 4 - 1
            package, _, names = names.rpartition(": ")
        for name in re.findall(r"\w+", names):
            yield name, (package, above[depth - 1])
            above[depth:] = [name]


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (RequestError("no"), 422, {}),
        (UnknownCommand("a", ["b"], None), 422, {}),
        (MessageConflict("unknown_parent", "no"), 409, {}),
        (UnknownThread("t"), 404, {}),
        (ResumeMismatch("no", run_id="r"), 409, {"x-stream-status": "run_mismatch"}),
        (TooManyRuns("no", retry_after=5), 429, {"retry-after": "5"}),
        (StoreUnavailable("the disk is full"), 503, {"retry-after": "2"}),
        (errors.Unauthorized("no"), 401, {"www-authenticate": "Bearer"}),
        (http_errors.TokenExpired("no"), 401, {"www-authenticate": 'Bearer error="invalid_token"'}),
        (http_errors.MethodNotAllowed("no", allowed="GET"), 405, {"allow": "GET"}),
        (http_errors.RangeNotSatisfiable("no", size=7), 416, {"content-range": "bytes */7"}),
        (http_errors.http_error(418, "no", {"x-tea": "yes"}), 418, {"x-tea": "yes"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RequestError) else "",
)
def test_a_class_has_the_status_of_its_base_unless_it_has_its_own(
    error: RequestError, status: int, headers: dict[str, str]
) -> None:
    assert (status_of(error), headers_of(error)) == (status, headers)


@pytest.mark.parametrize("error", [StoreUnavailable("/var/db is full"), errors.InternalError("/var/db is full")])
def test_clients_do_not_read_what_the_log_says(error: RequestError) -> None:
    assert str(error) == "/var/db is full"
    assert "/var/db" not in errors.error_fields(error)["message"]


def test_no_module_below_http_contains_a_status() -> None:
    found = [
        (path.name, name, text)
        for folder in BELOW
        for path in sorted(folder.rglob("*.py"))
        for name, text in _statuses(path.read_text("utf-8"))
        if (path.name, name) not in NOT_STATUSES
    ]

    assert found == []


def _statuses(source: str) -> Iterator[tuple[str, str]]:
    """Yield what may be a status, or a header that goes with one, and what it is assigned to."""
    for statement in ast.parse(source).body:
        names = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        name = names[0].id if isinstance(names[0], ast.Name) else ""
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and node.attr == "status_code":
                yield name, node.attr
            if isinstance(node, ast.Constant):
                text = node.value if isinstance(node.value, str) else ast.get_source_segment(source, node) or ""
                if re.fullmatch(r"[45]\d\d", text) or _is_about_http(node.value):
                    yield name, text


def _is_about_http(value: object) -> bool:
    """Return whether a text is a header's name, or a docstring that gives a code its status."""
    if not isinstance(value, str):
        return False
    return value.lower() in ("allow", "content-range", "retry-after", "www-authenticate") or bool(
        re.search(r"\b[45]\d\d [`(]|\b[45]\d\d, (naming|see)", value)
    )
