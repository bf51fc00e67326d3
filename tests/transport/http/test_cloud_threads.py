"""The cloud API of newer clients: threads and messages that have ids elsewhere, deleted messages, run leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from statecast import AddMessage, Agent, Cloud, Run, create_app
from statecast.http.cloud import leases
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.held_agent import said
from tests.transport.history_app import store

__all__ = ["store"]

pytestmark = pytest.mark.anyio

KEY: Final = "an-api-key-of-the-app"
ANN: Final = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}


class Asking:
    """Who asks the cloud API, as its published client does."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.thread = ""

    async def ask(self, method: str, path: str, body: Json = None, status: int = 200, **headers: Any) -> Any:
        answer = await self.client.request(
            method, path.replace("THREAD", self.thread), json={} if body is None else body, headers={**ANN, **headers}
        )
        assert answer.status == status, answer.content
        return answer.json() if answer.content else None

    async def write(self, text: str, status: int = 200, **fields: Any) -> Any:
        content = {"role": fields.pop("role", "user"), "content": [{"type": "text", "text": text}]}
        body = {"parent_id": None, "format": "aui/v0", "content": content, **fields}
        return await self.ask("POST", "/v1/threads/THREAD/messages", body, status)

    async def messages(self) -> list[Any]:
        """Return the history, oldest first."""
        found = await self.ask("GET", "/v1/threads/THREAD/messages")
        return list(found["messages"][::-1])

    async def said(self) -> list[tuple[str, str]]:
        return [(message["external_id"], text_in(message)) for message in await self.messages()]


def text_in(message: Json) -> str:
    return "".join(part.get("text", "") for part in message["content"]["content"])


@asynccontextmanager
async def asking(store: str) -> AsyncIterator[Asking]:
    agent = Agent("echo", initial={"messages": []})

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    async with TestClient(create_app(agent, store=store, cloud=Cloud(api_keys=[KEY]))) as client:
        who = Asking(client)
        who.thread = (await who.ask("POST", "/v1/threads", {}))["thread_id"]
        yield who


# Threads with an id elsewhere


async def test_upsert_returns_the_thread_that_has_the_external_id(store: str) -> None:
    async with asking(store) as who:
        first = await who.ask("POST", "/v1/threads", {"external_id": "mine", "title": "First"})
        again = await who.ask("POST", "/v1/threads", {"external_id": "mine", "title": "Again", "upsert": True})
        other = await who.ask("POST", "/v1/threads", {"external_id": "other", "upsert": True})
        same = await who.ask("POST", "/v1/threads", {"external_id": "other", "upsert": True})
        bob: dict[str, Any] = {"aui-workspace-id": "another"}
        bobs = await who.ask("POST", "/v1/threads", {"external_id": "mine", "upsert": True}, **bob)
        title = (await who.ask("GET", f"/v1/threads/{first['thread_id']}"))["thread"]["title"]

    assert again == first
    assert same == other != first
    assert bobs != first
    assert title == "First"


async def test_of_upserts_that_come_at_once_one_makes_the_thread(store: str) -> None:
    async with asking(store) as who:
        body = {"external_id": "mine", "upsert": True}
        made = await asyncio.gather(*(who.ask("POST", "/v1/threads", body) for _ in range(8)))

    assert len({thread["thread_id"] for thread in made}) == 1


async def test_upsert_finds_threads_that_other_endpoints_have_named(store: str) -> None:
    async with asking(store) as who:
        await who.ask("POST", "/threads", {"threadId": "t", "externalId": "mine"}, 201)
        found = await who.ask("POST", "/v1/threads", {"external_id": "mine", "upsert": True})
        await who.ask("DELETE", "/v1/threads/t", status=204)
        made = await who.ask("POST", "/v1/threads", {"external_id": "mine", "upsert": True})

    assert found["thread_id"] == "t" != made["thread_id"]


async def test_upsert_needs_an_external_id(store: str) -> None:
    async with asking(store) as who:
        refused = await who.ask("POST", "/v1/threads", {"upsert": True}, 422)

    assert refused["error"] == "invalid_request"


# Messages with an id elsewhere


async def test_a_copy_that_comes_again_is_the_same_message_written_anew(store: str) -> None:
    async with asking(store) as who:
        first = await who.write("hi", external_id="u1")
        second = await who.write("Hel", role="assistant", external_id="a1", parent_external_id="u1")
        again = await who.write("hi", external_id="u1")
        whole = await who.write("Hello", role="assistant", external_id="a1")
        messages = await who.messages()

    assert again == first
    assert whole == second
    assert [(m["external_id"], m["parent_id"], text_in(m)) for m in messages] == [
        ("u1", None, "hi"),
        ("a1", first["message_id"], "Hello"),
    ]


async def test_of_copies_that_come_at_once_there_is_one(store: str) -> None:
    async with asking(store) as who:
        written = await asyncio.gather(*(who.write("hi", external_id="u1") for _ in range(8)))
        said = await who.said()

    assert len({message["message_id"] for message in written}) == 1
    assert said == [("u1", "hi")]


async def test_the_agents_own_messages_are_not_doubled_by_their_copies(store: str) -> None:
    """As assistant-ui's transport runtime with `cloud` does: it runs the agent, and then copies what it shows."""
    async with asking(store) as who:
        body = {"threadId": who.thread, "commands": [said("hi")]}
        await who.client.post("/assistant", json=body, headers=ANN)
        shown = await who.messages()
        parent: dict[str, Any] = {}
        for message in shown:
            copied = await who.write(
                text_in(message), role=message["content"]["role"], external_id=message["id"], **parent
            )
            assert copied == {"message_id": message["id"]}
            parent = {"parent_external_id": message["id"]}
        body = {"threadId": who.thread, "commands": [said("and again")]}
        await who.client.post("/assistant", json=body, headers=ANN)
        messages = await who.messages()

    assert [message["external_id"] for message in shown] == [message["id"] for message in shown]
    assert [text_in(m) for m in messages] == ["hi", "You said: hi", "and again", "You said: and again"]
    assert [m["parent_id"] for m in messages] == [None, *[m["id"] for m in messages[:-1]]]


async def test_the_same_id_in_another_form_is_another_message(store: str) -> None:
    async with asking(store) as who:
        await who.write("hi", external_id="u1")
        parts = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
        await who.write("", external_id="u1", format="ai-sdk/v6", content=parts)
        formats = sorted(message["format"] for message in await who.messages())

    assert formats == ["ai-sdk/v6", "aui/v0"]


@pytest.mark.parametrize("external_id", ["", "x" * 256])
async def test_an_external_id_that_is_none_is_refused(store: str, external_id: str) -> None:
    async with asking(store) as who:
        refused = await who.write("hi", 422, external_id=external_id)
        messages = await who.messages()

    assert refused["error"] == "invalid_request"
    assert messages == []


# Deleting


async def test_deleted_messages_are_gone_and_what_follows_stays(store: str) -> None:
    async with asking(store) as who:
        ids: list[str] = []
        for number in range(5):
            parent: dict[str, Any] = {"parent_id": ids[-1]} if ids else {}
            ids.append((await who.write(f"{number}", external_id=f"e{number}", **parent))["message_id"])
        body = {"message_ids": [ids[1], ids[2], "gone-already", ids[2]]}
        await who.ask("DELETE", "/v1/threads/THREAD/messages", body, 204)
        messages = await who.messages()
        refused = await who.ask("DELETE", "/v1/threads/THREAD/messages", body, 404)
        rewritten = (await who.write("1", external_id="e1"))["message_id"]

    assert [(m["id"], m["parent_id"]) for m in messages] == [(ids[0], None), (ids[3], ids[0]), (ids[4], ids[3])]
    assert refused["error"] == "unknown_message"
    assert rewritten not in ids


async def test_a_copy_of_the_agents_message_that_is_deleted_stays_deleted(store: str) -> None:
    async with asking(store) as who:
        await who.client.post("/assistant", json={"threadId": who.thread, "commands": [said("hi")]}, headers=ANN)
        shown = await who.messages()
        body = {"message_ids": [shown[1]["id"]]}
        refused = await who.ask("DELETE", "/v1/threads/THREAD/messages", body, 409)
        await who.write("You said: hi", role="assistant", external_id=shown[1]["id"])
        await who.ask("DELETE", "/v1/threads/THREAD/messages", body, 204)
        left = await who.said()

    assert refused["error"] == "agents_message"
    assert [text for _, text in left] == ["hi"]


@pytest.mark.parametrize("body", [{}, {"message_ids": "x"}, {"message_ids": [1]}, []])
async def test_a_deletion_that_names_no_messages_is_refused(store: str, body: Json) -> None:
    async with asking(store) as who:
        await who.ask("DELETE", "/v1/threads/THREAD/messages", body, 422)


# Leases


async def opened(who: Asking, **fields: Json) -> tuple[str, str]:
    """Write a message with an open run, and return the ids of the message and of the lease."""
    found = await who.write("Hel", role="assistant", open_run=True, **fields)
    assert found["heartbeat_interval_ms"] == leases.BEAT_MS < 30_000 / 2
    return found["message_id"], found["lease_id"]


async def runs_of(who: Asking) -> list[Json]:
    return [message.get("run") for message in await who.messages()]


async def test_a_message_that_is_being_made_says_so_until_its_run_ends(store: str) -> None:
    async with asking(store) as who:
        await who.write("hi")
        message, lease = await opened(who)
        before = await runs_of(who)
        beat = await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat")
        content = {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
        path = f"/v1/threads/THREAD/messages/{message}"
        await who.ask("PUT", path, {"content": content, "lease_id": lease}, 204)
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/end", {"reason": "cancelled"}, 204)
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/end", {}, 204)
        after = await runs_of(who)
        messages = await who.messages()

    assert beat == {"heartbeat_interval_ms": leases.BEAT_MS}
    assert [run and run["status"] for run in before] == [None, "running"]
    assert [run and run["status"] for run in after] == [None, "ended"]
    assert 0 <= before[1]["last_heartbeat_ms_ago"] < 60_000
    assert text_in(messages[1]) == "Hello"


async def test_whoever_writes_with_a_lease_that_has_ended_is_told_so_and_changes_nothing(store: str) -> None:
    async with asking(store) as who:
        message, lease = await opened(who, external_id="a1")
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/end", {}, 204)
        content = {"role": "assistant", "content": [{"type": "text", "text": "late"}]}
        path = f"/v1/threads/THREAD/messages/{message}"
        refused = [
            await who.ask("PUT", path, {"content": content, "lease_id": lease}, 409),
            await who.write("late", 409, external_id="a1", lease_id=lease),
            await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat", status=409),
        ]
        kept = await who.said()
        await who.ask("PUT", path, {"content": content}, 204)
        written = await who.said()

    assert [error["error"] for error in refused] == ["run_ended"] * 3
    assert kept == [("a1", "Hel")]
    assert written == [("a1", "late")]


async def test_a_lease_is_that_of_its_message_alone_and_the_last_one_counts(store: str) -> None:
    async with asking(store) as who:
        message, lease = await opened(who, external_id="a1")
        _, others = await opened(who, external_id="a2")
        same, fresh = await opened(who, external_id="a1")
        content = {"role": "assistant", "content": []}
        path = f"/v1/threads/THREAD/messages/{message}"
        refused = [
            await who.ask("PUT", path, {"content": content, "lease_id": id}, 409) for id in (others, lease, "lease_x")
        ]
        refused.append(await who.write("x", 409, external_id="a3", lease_id=others))
        await who.ask("PUT", path, {"content": content, "lease_id": fresh}, 204)
        unknown = [
            await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat", status=404),
            await who.ask("POST", "/v1/threads/THREAD/runs/lease_x/end", {}, 404),
        ]
        said = await who.said()

    assert same == message
    assert [error["error"] for error in refused] == ["lease_mismatch"] * 4
    assert [error["error"] for error in unknown] == ["unknown_lease"] * 2
    assert [id for id, _ in said] == ["a1", "a2"]


async def test_a_lease_outlives_the_server_and_goes_with_its_message(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    async with asking(store) as who:
        thread = who.thread
        message, lease = await opened(who)
    async with asking(store) as who:
        who.thread = thread
        runs = await runs_of(who)
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat")
        await who.ask("DELETE", "/v1/threads/THREAD/messages", {"message_ids": [message]}, 204)
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat", status=404)

    assert runs[0]["status"] == "running"


async def test_a_lease_is_nobody_elses(store: str) -> None:
    async with asking(store) as who:
        _, lease = await opened(who)
        bob: dict[str, Any] = {"aui-workspace-id": "another"}
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/heartbeat", status=404, **bob)
        await who.ask("POST", f"/v1/threads/THREAD/runs/{lease}/end", {}, 404, **bob)
        runs = await runs_of(who)

    assert runs[0]["status"] == "running"


# Reports


async def test_a_report_of_a_run_may_say_what_it_cost_and_how_it_ended(store: str) -> None:
    async with asking(store) as who:
        report = {
            "thread_id": who.thread,
            "status": "error",
            "outcome_type": "content_filter",
            "message_id": "a1",
            "user_message_id": "u1",
            "root_span_id": "span",
            "cost_usd": 0.0123,
            "cost_details": {"input": 0.01, "output": 0.0023, "total": 0.0123},
            "an-outcome-of-tomorrow": {},
        }
        kept = await who.ask("POST", "/v1/runs", report)
        wrongs: list[Json] = [{"cost_usd": "much"}, {"cost_details": 1}, {"root_span_id": 1}, {"outcome_type": []}]
        refused = [await who.ask("POST", "/v1/runs", {**report, **wrong}, 422) for wrong in wrongs]

    assert kept["run_id"].startswith("run_")
    assert [error["error"] for error in refused] == ["invalid_request"] * 4
