"""What an app's `identify` returns reaches its agents: whole, over every protocol, after a restart; and no client."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest
from starlette.requests import HTTPConnection

from statecast import About, AddMessage, Agent, App, Cloud, Feedback, Run, UntypedCommand, create_app
from statecast.stores import SqliteStore
from statecast.testing import TestClient
from statecast.threads.runs.users import MOST, restored_user, stored_user, user_id
from tests.ids import stable
from tests.transport.followers import completed, connected, served
from tests.transport.held_agent import HOLD, note, said, until

pytestmark = pytest.mark.anyio

SECRET = "nobody-else's-business"


@dataclass
class Person:
    id: str
    name: str
    mail: str = SECRET


class Account(msgspec.Struct):
    id: int
    mail: str = SECRET


class Plain:
    """As an ORM's objects are: fields of many kinds, and some that are no JSON."""

    def __init__(self, id: Any, **fields: Any) -> None:
        self.__dict__.update(fields, id=id, _session=object(), connection=object())


def seen_by(users: list[Any]) -> Agent:
    """Return an agent that notes whom its runs and hooks are for."""
    agent = Agent("echo", initial={"messages": []})

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        users.append(run.user)
        run.messages.assistant().append_text("ok")

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        await anyio.sleep_forever()

    @agent.title
    def title(about: About) -> str:
        users.append(about.user)
        return "A title"

    @agent.suggest
    def suggest(about: About) -> list[str]:
        users.append(about.user)
        return []

    @agent.feedback
    def feedback(feedback: Feedback) -> None:
        users.append(feedback.user)

    return agent


def app_for(user: Any, users: list[Any], **settings: Any) -> App:
    async def identify(connection: HTTPConnection) -> Any:
        return user

    return create_app(seen_by(users), identify=identify, **settings)


MESSAGE = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}

#: What asks the agent something, by its path.
ASKS: list[tuple[str, dict[str, Any]]] = [
    ("/assistant", {"threadId": "t", "commands": [said("hi")]}),
    ("/assistant?protocol=assistant-transport", {"threadId": "t", "commands": [said("hi")]}),
    ("/chat", {"id": "t", "messages": [MESSAGE]}),
    ("/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "m", "role": "user", "content": "hi"}]}),
    ("/v1/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}),
    ("/v1/chat/completions", {"model": "echo", "stream": True, "messages": [{"role": "user", "content": "hi"}]}),
    ("/text", {"messages": [{"role": "user", "content": "hi"}]}),
    ("/sse", {"messages": [{"role": "user", "content": "hi"}]}),
    ("/json", {"messages": [{"role": "user", "content": "hi"}]}),
]


@pytest.mark.parametrize(("path", "body"), ASKS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_run_has_the_user_over_every_protocol(path: str, body: dict[str, Any]) -> None:
    ada, users = Person("ada", "Ada"), list[Any]()
    async with TestClient(app_for(ada, users)) as client:
        answer = await client.post(path, json=body)

    assert answer.status == 200
    assert users == [ada]
    assert users[0] is ada
    assert SECRET.encode() not in answer.content


async def test_a_run_has_the_user_over_a_socket() -> None:
    ada, users = Person("ada", "Ada"), list[Any]()
    async with served(app_for(ada, users)) as server, connected(server, "t") as socket:
        await socket.ask({"type": "commands", "commands": [said("hi")]})
        await socket.until(completed)

    assert users == [ada]
    assert SECRET not in str(socket.frames)


async def test_hooks_have_the_user_who_asks() -> None:
    ada, users = Person("ada", "Ada"), list[Any]()
    async with TestClient(app_for(ada, users)) as client:
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]})
        messages = (await client.get("/threads/t/messages")).json()["messages"]
        await client.post("/threads/t/title", json={})
        await client.post("/threads/t/suggestions", json={})
        await client.post(f"/threads/t/messages/{messages[-1]['message']['id']}/feedback", json={"type": "positive"})

    assert users == [ada] * 4


async def test_no_client_gets_more_of_a_user_than_their_threads() -> None:
    users = list[Any]()
    async with TestClient(app_for(Person("ada", "Ada"), users, debug=True)) as client:
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]})
        paths = ["/threads", "/threads/t", "/threads/t/state", "/threads/t/messages", "/status/t", "/health", "/agents"]
        answers = [(await client.get(path)).content for path in paths]

    assert len(users) == 1
    assert not [answer for answer in answers if SECRET.encode() in answer or b"Ada" in answer]


async def test_what_waits_behind_a_run_is_shown_without_its_user() -> None:
    app = app_for(Person("ada", "Ada"), list[Any]())
    async with TestClient(app) as client:
        held = client.stream("POST", "/assistant", json={"threadId": "t", "commands": [HOLD]})
        queued = client.stream("POST", "/assistant", json={"threadId": "t", "commands": [said("hi")]})
        async with held as first, queued:
            await first.read_until(b"held")
            await until(lambda: app.hub.runs == 2)
            status = await client.get("/status/t")
            async with client.stream("GET", "/threads/t/events") as response:
                shown = await response.read_until(b'"queued"')

    assert b"add-message" in status.content
    assert b"Ada" not in status.content + shown
    assert SECRET.encode() not in status.content + shown


async def test_a_user_of_the_cloud_api_has_an_id_and_a_workspace() -> None:
    users = list[Any]()
    app = create_app(seen_by(users), cloud=Cloud(api_keys=["k" * 20]))
    key = {"authorization": "Bearer " + "k" * 20, "aui-user-id": "ada", "aui-workspace-id": "bees"}
    async with TestClient(app) as client:
        token = (await client.post("/v1/auth/tokens", headers=key)).json()["token"]
        bearer = {"authorization": f"Bearer {token}"}
        for headers in (key, bearer):
            await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]}, headers=headers)

    assert [(user.id, user.workspace) for user in users] == [("ada", "bees")] * 2


# After a restart

KEPT: list[tuple[Any, Any]] = [
    ("ada", "ada"),
    ({"id": "ada", "roles": ["admin"], "at": object()}, {"id": "ada", "roles": ["admin"]}),
    (Person("ada", "Ada"), SimpleNamespace(id="ada", name="Ada", mail=SECRET)),
    (Account(7), SimpleNamespace(id=7, mail=SECRET)),
    (Plain("ada", name="Ada"), SimpleNamespace(id="ada", name="Ada")),
    (Plain(uuid.UUID(int=1)), SimpleNamespace(id="00000000-0000-0000-0000-000000000001")),
    (Plain("ada", photo="x" * MOST), SimpleNamespace(id="ada")),
]


@pytest.mark.parametrize(("user", "kept"), KEPT, ids=lambda value: type(value).__name__)
async def test_a_batch_that_waited_has_its_user_after_a_restart(user: Any, kept: Any, tmp_path: Path) -> None:
    path, users, before = tmp_path / "threads.db", list[Any](), list[Any]()
    app = app_for(user, before, store=SqliteStore(path))
    async with TestClient(app) as client:
        held = client.stream("POST", "/assistant", json={"threadId": "t", "commands": [HOLD]})
        queued = client.stream("POST", "/assistant", json={"threadId": "t", "commands": [said("hi")]})
        async with held as first, queued:
            await first.read_until(b"held")
            await until(lambda: app.hub.runs == 2)
    async with TestClient(app_for("somebody", users, store=SqliteStore(path))):
        await until(lambda: users)

    assert before == []
    assert users == [kept]


@pytest.mark.parametrize(("user", "kept"), KEPT, ids=lambda value: type(value).__name__)
def test_what_is_kept_of_a_user_is_json(user: Any, kept: Any) -> None:
    data = msgspec.json.encode(stored_user(user))

    assert restored_user(msgspec.convert(msgspec.json.decode(data), type(stored_user(user)))) == kept


# Whose threads they are


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("ada", "ada"),
        ({"id": "ada"}, "ada"),
        (Person("ada", "Ada"), "ada"),
        (Account(7), "7"),
        (Plain(uuid.UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=stable,
)
def test_threads_belong_to_the_users_id(user: Any, owner: str) -> None:
    assert user_id(user) == owner


@pytest.mark.parametrize(
    "user", ["", 7, True, b"ada", object(), {}, Plain(None), Plain(True), Plain(""), "x" * 501, "\ud800"], ids=stable
)
async def test_what_is_no_user_is_the_apps_own_fault_and_opens_nothing(
    user: Any, caplog: pytest.LogCaptureFixture
) -> None:
    users = list[Any]()
    with pytest.raises((TypeError, ValueError), match="expected"):
        user_id(user)
    async with TestClient(app_for(user, users)) as client:
        refused = await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]})

    assert (refused.status, refused.json()["error"]["code"]) == (403, "identify_failed")
    assert "expected" in caplog.text
    assert users == []
