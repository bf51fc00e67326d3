"""Settings that make no sense are refused where they are made, by an error that names them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from statecast import AddMessage, Agent, Cloud, Connections, Issuer, Limits, Uploads, cli, create_app, serve
from statecast.http import AppSettings
from statecast.server import Server, config_for
from statecast.testing import TestClient
from tests.ids import stable
from tests.transport.held_agent import NOTE, held

pytestmark = pytest.mark.anyio

#: Settings made of numbers, with the fields that may be 0, have no end, or be None.
NUMBERS: Final[dict[type[msgspec.Struct], dict[str, set[str]]]] = {
    Limits: {
        "zero": {"history_entries", "history_bytes", "resume_seconds", "idle_seconds"},
        "endless": {"run_seconds", "waiting_seconds", "resume_seconds", "idle_seconds"},
        "optional": {"keep_seconds"},
    },
    Connections: {},
    Uploads: {},
    Cloud: {},
}
FIELDS: Final = [
    (kind, field.name, field.default)
    for kind in NUMBERS
    for field in msgspec.structs.fields(kind)
    if isinstance(field.default, int | float) or field.name in NUMBERS[kind].get("optional", ())
]


@pytest.mark.parametrize(
    ("kind", "name", "default"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name, _ in FIELDS]
)
def test_a_number_that_means_nothing_is_refused_by_the_name_of_its_field(
    kind: type[msgspec.Struct], name: str, default: Any
) -> None:
    allowed = NUMBERS[kind]
    wrong: list[Any] = ["16MB", "1", b"1", [], {}, object(), 1j, math.nan, -math.inf, -1]
    if isinstance(default, bool):
        wrong += [0, 1, 1.5, None]
    else:
        wrong += [True, False]
        wrong += [] if name in allowed.get("zero", ()) else [0]
        wrong += [] if name in allowed.get("endless", ()) else [math.inf]
        wrong += [] if name in allowed.get("optional", ()) else [None]
        wrong += [1.5] if type(default) is int else []
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}\.{name}"):
            kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "default"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name, _ in FIELDS]
)
def test_a_number_that_means_something_is_taken(kind: type[msgspec.Struct], name: str, default: Any) -> None:
    allowed = NUMBERS[kind]
    right: list[Any] = [default]
    if not isinstance(default, bool):
        right += [1, 100] + ([0.002, 2.5] if type(default) is not int else [])
        right += [0] if name in allowed.get("zero", ()) else []
        right += [math.inf] if name in allowed.get("endless", ()) else []
        right += [None] if name in allowed.get("optional", ()) else []
    for value in right:
        assert getattr(kind(**{name: value}), name) == value


def test_what_is_replaced_is_checked_too() -> None:
    with pytest.raises(ValueError, match=r"Limits\.body"):
        msgspec.structs.replace(Limits(), body=0)
    with pytest.raises(TypeError, match=r"Limits\.connections"):
        Limits(connections={"sockets": 5})  # type: ignore[arg-type]  # meant


@pytest.mark.parametrize("field", ["run_seconds", "waiting_seconds", "idle_seconds", "resume_seconds"])
async def test_a_period_without_end_does_no_harm(field: str) -> None:
    async with TestClient(create_app(held()[0], limits=Limits(**{field: math.inf}))) as client:  # type: ignore[arg-type]  # meant
        assert (await client.run(NOTE)).state == {"notes": ["noted"]}


# Agents


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": " a"}, "name"),
        ({"policy": "queue"}, "policy"),
        ({"policy": None}, "policy"),
        ({"waiting_policy": "wait"}, "waiting_policy"),
        ({"writable": "/title"}, "writable"),
        ({"writable": ["title"]}, "writable"),
        ({"writable": ["/a", "/b~2"]}, "writable"),
        ({"writable": ["#/a"]}, "writable"),
        ({"writable": [5]}, "writable"),
        ({"writable": None}, "writable"),
        ({"writable": 5}, "writable"),
        ({"messages": [1]}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": b"x"}, "messages"),
        ({"messages": ["a", "__proto__"]}, "__proto__"),
        ({"adopt": "no"}, "adopt"),
        ({"allow_assistant": 1}, "allow_assistant"),
        ({"accept_base_url": None}, "accept_base_url"),
        ({"restartable": "yes"}, "restartable"),
        ({"commands": "set-title"}, "commands"),
        ({"commands": None}, "commands"),
        ({"commands": AddMessage}, "commands"),
        ({"commands": [5]}, "Command"),
        ({"initial": {"tags": {"a"}}}, "tags"),
        ({"initial": object()}, "JSON"),
        ({"cancel_grace": -1}, "cancel_grace"),
        ({"cancel_grace": "1"}, "cancel_grace"),
        ({"cancel_grace": math.nan}, "cancel_grace"),
        ({"cancel_seconds": None}, "cancel_seconds"),
        ({"cancel_seconds": math.inf}, "cancel_seconds"),
    ],
    ids=stable,
)
def test_an_agent_declares_what_makes_sense(settings: dict[str, Any], named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        Agent(**settings)


@pytest.mark.parametrize(
    "declare",
    [
        lambda agent: agent.on(),
        lambda agent: agent.on(AddMessage)(5),
        lambda agent: agent.on(lambda run, command: None),
        lambda agent: agent.batch("name"),
        lambda agent: agent.title("A title"),
        lambda agent: agent.suggest(["More?"]),
        lambda agent: agent.feedback(None),
    ],
)
def test_handlers_and_hooks_are_functions(declare: Callable[[Agent], object]) -> None:
    with pytest.raises(TypeError, match="expected"):
        declare(Agent())


@given(st.lists(st.text(max_size=5).map(lambda key: "/" + key.replace("~", "~0").replace("/", "~1")), max_size=3))
def test_every_json_pointer_may_be_writable(pointers: list[str]) -> None:
    assert Agent(writable=[*pointers, ""]).writable == (*pointers, "")


# Apps


@pytest.mark.parametrize(
    "origin",
    [
        "", "www.example.com", "localhost:5173", "https://", "https://www.example.com/", "https://www.example.com/app",
        "https://a.example?b", "https://a.example#b", "https://user@a.example", "https://A.example", "HTTPS://a.example",
        "https://a.example:443", "http://a.example:80", "https://a.example:x", "https://a b", "*.example.com",
        "https://*.example.com/", "null",
    ],
)  # fmt: skip
def test_an_origin_that_no_browser_would_send_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        create_app(Agent(), cors_origins=["https://good.example", origin])


@pytest.mark.parametrize(
    "origin",
    [
        "*", "https://www.example.com", "http://localhost:5173", "http://127.0.0.1:8000", "http://[::1]:3000",
        "https://a.example:8443", "capacitor://localhost", "chrome-extension://abcdefgh", "tauri://localhost",
        "https://xn--bcher-kva.example",
    ],
)  # fmt: skip
def test_an_origin_that_browsers_send_is_taken(origin: str) -> None:
    create_app(Agent(), cors_origins=[origin])


@pytest.mark.parametrize(
    "host",
    [
        "", "https://chat.example.com", "chat.example.com:8000", "chat.example.com/", "chat.example.com/app", "a b",
        "*.", "*example.com", "a.*.com", "example.com.", "[::1]", "user@example.com", "example.com?",
    ],
)  # fmt: skip
def test_a_host_that_no_request_could_name_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="allowed_hosts"):
        create_app(Agent(), allowed_hosts=[host])


@pytest.mark.parametrize(
    "host", ["*", "chat.example.com", "*.example.com", "localhost", "10.0.0.1", "0.0.0.0", "::", "::1", "Chat.Example"]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    create_app(Agent(), allowed_hosts=[host])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"cors_origins": "https://www.example.com"}, "cors_origins"),
        ({"cors_origins": [None]}, "cors_origins"),
        ({"allowed_hosts": "chat.example.com"}, "allowed_hosts"),
        ({"store": "mongodb://x"}, "store"),
        ({"store": ""}, "store"),
        ({"store": "sqlite:///"}, "store"),
        ({"store": Path("a.db")}, "store"),
        ({"store": None}, "store"),
        ({"limits": {"body": 5}}, "limits"),
        ({"uploads": 5}, "uploads"),
        ({"cloud": "yes"}, "cloud"),
        ({"on_disconnect": "stop"}, "on_disconnect"),
        ({"identify": "ada"}, "identify"),
        ({"open_list": "no"}, "open_list"),
        ({"debug": 1}, "debug"),
        ({"page": "no/such/folder"}, "page"),
        ({"page": 5}, "page"),
    ],
    ids=str,
)
def test_an_app_is_made_of_what_makes_sense(settings: dict[str, Any], named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        create_app(Agent(), **settings)


@pytest.mark.parametrize("agents", [[], [Agent(), Agent()], ["agent"], "agent", None, Agent])
def test_an_app_needs_agents(agents: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        create_app(agents)


@pytest.mark.parametrize(
    "settings",
    [
        {"types": ["png"]},
        {"types": "image/png"},
        {"types": [5]},
        {"types": None},
        {"where": "folder"},
        {"public_url": 5},
        {"public_url": "example.com"},
        {"public_url": "https://"},
        {"public_url": "https://example.com/?a"},
        {"public_url": "ftp://example.com"},
    ],
    ids=str,
)
def test_uploads_are_what_makes_sense(settings: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        Uploads(**settings)


KEY: Final = "k" * 32


def issuer(name: str, prefix: str = "") -> Issuer:
    return Issuer(name=name, key=KEY, algorithms=["HS256"], prefix=prefix)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_keys": "k" * 20},
        {"api_keys": [None]},
        {"issuers": [issuer("a"), issuer("b", "b:")]},
        {"issuers": [issuer("a", "b"), issuer("b", "b:")]},
        {"issuers": [issuer("a", "b:"), issuer("b", "b")]},
        {"issuers": [5]},
        {"issuers": 5},
        {"issuers": issuer("a")},
        {"secret": 5},
        {"report": 5},
    ],
    ids=str,
)
def test_the_cloud_api_knows_its_users_by_what_makes_sense(settings: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        Cloud(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": 5},
        {"key": 5},
        {"key": None},
        {"key": None, "jwks_url": "keys.json"},
        {"jwks_url": 5},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": "HS256"},
        {"audience": 5},
        {"workspace": None},
        {"user": ""},
        {"prefix": None},
    ],
    ids=str,
)
def test_an_issuer_is_told_what_makes_sense(settings: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        Issuer(**{"name": "a", "key": KEY, "algorithms": ["HS256"], **settings})


# Who asks


@pytest.mark.parametrize("user", [True, "", object(), {"name": "ada"}, b"ada", "x" * 501, 1.5], ids=stable)
async def test_an_identify_that_names_no_user_refuses_the_request(
    user: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def identify(asked: HTTPConnection) -> object:
        return user

    async with TestClient(create_app(held()[0], identify=identify)) as client:
        refused = await client.post("/assistant", json={"commands": [NOTE], "threadId": "t"})
        assert (refused.status, refused.json()["error"]["code"]) == (403, "identify_failed")
        assert (await client.get("/health")).json()["threads"] == 0
    assert "id" in caplog.text


# Servers


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"port": "8000"}, "port"),
        ({"port": 80.0}, "port"),
        ({"port": True}, "port"),
        ({"host": ""}, "host"),
        ({"host": None}, "host"),
        ({"grace": -1}, "grace"),
        ({"grace": math.nan}, "grace"),
        ({"grace": math.inf}, "grace"),
        ({"grace": None}, "grace"),
        ({"proxies": ["proxy.example"]}, "proxies"),
        ({"proxies": "10.0.0.1"}, "list of texts"),
        ({"proxies": [5]}, "proxies"),
        ({"limits": Limits()}, "limits"),
    ],
    ids=str,
)
def test_a_server_is_told_what_makes_sense(
    settings: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "run", lambda self: None)
    with pytest.raises((TypeError, ValueError), match=named):
        serve(create_app(Agent()), **settings)


def test_serve_takes_the_settings_of_create_app(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(Server, "run", lambda self: made.append(self._app.hub))
    serve([Agent()], debug=True, limits=Limits(body=5), store="memory")

    assert made[0].limits.body == 5
    assert set(AppSettings.__annotations__) == set(inspect.signature(create_app).parameters) - {"agents"}


def test_type_checkers_know_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "run", lambda self: None)
    with pytest.raises(TypeError, match="debut"):
        serve(Agent(), debut=True)  # type: ignore[call-overload]  # meant
    with pytest.raises(TypeError, match="limits"):
        serve(Agent(), limits=5)  # type: ignore[call-overload]  # meant
    with pytest.raises(TypeError, match="debug"):
        serve(create_app(Agent()), debug=True)  # type: ignore[call-overload]  # meant
    with pytest.raises(ValueError, match="on_disconnect"):
        create_app(Agent(), on_disconnect="stop")  # type: ignore[arg-type]  # meant


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"], ["--port", "x"], ["--grace", "-1"], ["--grace", "nan"], ["--grace", "inf"],
        ["--grace", "soon"], ["--cors-origin", "localhost:5173"], ["--allowed-host", "http://a.example"],
        ["--store", "mongodb://x"], ["--store", ""], ["--proxy", "proxy.example"], ["--host", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_command_line_refuses_what_makes_no_sense(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Server) -> None:
        raise AssertionError("the server was started")

    monkeypatch.setattr(Server, "run", run)
    try:
        status: object = cli.main(["demo", "--no-reload", *arguments])
    except SystemExit as error:
        status = error.code
    assert (status, "expected" in capsys.readouterr().err or arguments[1] in ("x", "soon")) == (2, True)


def test_a_server_for_what_is_no_app_of_ours_has_the_default_limits() -> None:
    config: Callable[..., Any] = config_for
    assert config("module:app").limits == Limits()
