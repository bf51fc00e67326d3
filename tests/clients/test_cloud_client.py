"""Threads and histories, as the published client of Assistant Cloud asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.clients.cloud import CloudClient, CloudFailed, said, text_of
from tests.clients.cloud_scene import API_KEY, Bees, app_of, bees, client, refused, url
from tests.clients.node import Json
from tests.clients.serving import served

__all__ = ["bees", "client", "url"]


# Threads


def test_a_thread_is_what_was_said_of_it(client: CloudClient) -> None:
    fields = {"title": "Bees", "metadata": {"hive": [1, None, "ü"]}, "external_id": "x-1"}
    thread = client.call("threads.get", client.create(**fields))

    assert {name: thread[name] for name in fields} == fields
    assert (thread["last_message_at"], thread["is_archived"]) == ("2026-01-02T03:04:05.678Z", False)
    assert thread["workspace_id"] == "hive"
    assert thread["created_at"] <= thread["updated_at"]


def test_an_update_changes_what_it_names_and_nothing_else(client: CloudClient) -> None:
    thread_id = client.create(title="Bees", metadata={"hive": 1})
    before = client.call("threads.get", thread_id)
    assert client.call("threads.update", thread_id, {"title": "Wasps"}) is None
    renamed = client.call("threads.get", thread_id)
    client.call("threads.update", thread_id, {"metadata": None, "is_archived": True})
    archived = client.call("threads.get", thread_id)

    assert {**renamed, "updated_at": None} == {**before, "title": "Wasps", "updated_at": None}
    assert (archived["metadata"], archived["is_archived"], archived["title"]) == (None, True, "Wasps")


def test_the_list_comes_page_by_page_newest_first_archived_or_not(client: CloudClient) -> None:
    when = [f"2026-01-{day // 3 + 1:02}T03:04:05.{day % 3}00Z" for day in range(45)]
    made = [client.create(last_message_at=at, title=at) for at in when]
    for thread_id in made[::3]:
        client.call("threads.update", thread_id, {"is_archived": True})

    def every(**query: Json) -> tuple[list[str], list[int]]:
        found: list[str] = []
        sizes = []
        while page := client.call("threads.list", {**query, **({"after": found[-1]} if found else {})})["threads"]:
            found += [thread["id"] for thread in page]
            sizes.append(len(page))
        return found, sizes

    newest_first = made[::-1]
    assert every() == ([id for id in newest_first if id not in made[::3]], [20, 10])
    assert every(is_archived=False, limit=7)[1] == [7, 7, 7, 7, 2]
    assert every(is_archived=True, limit=7) == ([id for id in newest_first if id in made[::3]], [7, 7, 1])


def test_a_message_makes_its_thread_the_latest(client: CloudClient) -> None:
    first = client.create()
    second = client.create(last_message_at="2026-02-02T03:04:05.678Z")
    assert [thread["id"] for thread in client.call("threads.list")["threads"]] == [second, first]
    client.write(first, "user", "Hello")

    assert [thread["id"] for thread in client.call("threads.list")["threads"]] == [first, second]


def test_a_deleted_thread_is_gone_with_all_that_is_of_it(client: CloudClient) -> None:
    thread_id = client.create()
    message_id = client.write(thread_id, "user", "Hello")
    assert client.call("threads.delete", thread_id) is None

    assert client.call("threads.list") == {"threads": []}
    gone: list[Callable[[], object]] = [
        lambda: client.call("threads.get", thread_id),
        lambda: client.call("threads.delete", thread_id),
        lambda: client.call("threads.update", thread_id, {"title": "x"}),
        lambda: client.texts(thread_id),
        lambda: client.write(thread_id, "user", "Hello"),
        lambda: client.call("threads.messages.update", thread_id, message_id, {"content": said("user", "x")}),
        lambda: client.title(thread_id),
    ]
    assert {refused(call) for call in gone} == {(404, "unknown_thread")}


def test_threads_of_a_guest_become_those_of_the_workspace_that_claims_them(url: str, client: CloudClient) -> None:
    guest = CloudClient(url, storage="guest")
    threads = [guest.create(title=title) for title in ("One", "Two")]
    guest.call("threads.update", threads[1], {"is_archived": True})
    hello = guest.write(threads[0], "user", "Hello")
    guest.write(threads[0], "assistant", "Hi", hello)
    token = guest.call("readAnonymousRefreshToken")

    assert client.call("threads.claim", {"refresh_token": token}) == {"moved": 2}
    assert client.texts(threads[0]) == [("user", "Hello"), ("assistant", "Hi")]
    assert client.call("threads.get", threads[1])["is_archived"] is True
    assert guest.call("threads.list") == {"threads": []}
    assert refused(lambda: guest.texts(threads[0])) == (404, "unknown_thread")
    assert client.call("threads.claim", {"refresh_token": token}) == {"moved": 0}
    assert refused(lambda: client.call("threads.claim", {"refresh_token": "x"})) == (401, "invalid_token")


# Messages


def test_messages_are_listed_newest_first_with_their_parents_and_branches(client: CloudClient) -> None:
    thread_id = client.create()
    hello = client.write(thread_id, "user", "Hello")
    hi = client.write(thread_id, "assistant", "Hi", hello)
    again = client.write(thread_id, "assistant", "Hello to you", hello)
    edited = client.write(thread_id, "user", "Good morning")
    listed = client.call("threads.messages.list", thread_id, {"format": "aui/v0"})["messages"]

    assert [(message["id"], message["parent_id"], message["height"]) for message in listed] == [
        (edited, None, 0),
        (again, hello, 1),
        (hi, hello, 1),
        (hello, None, 0),
    ]
    assert listed[-1]["content"] == said("user", "Hello")
    assert all(message["format"] == "aui/v0" for message in listed)


def test_every_format_is_kept_as_it_is_and_listed_apart(client: CloudClient) -> None:
    thread_id = client.create()
    contents: dict[str, Json] = {
        "aui/v0": said("user", "One"),
        "ai-sdk/v6": {"role": "user", "parts": [{"type": "text", "text": "Two"}], "metadata": {"a": 1}},
        "langchain/v9": {"kind": "human", "said": ["Three", None, 1.5]},
    }
    for format, content in contents.items():
        body = {"parent_id": None, "format": format, "content": content}
        client.call("threads.messages.create", thread_id, body)

    for format, content in contents.items():
        (message,) = client.call("threads.messages.list", thread_id, {"format": format})["messages"]
        assert (message["format"], message["content"]) == (format, content)
    every = client.call("threads.messages.list", thread_id)["messages"]
    assert {message["format"]: message["content"] for message in every} == contents


def test_a_message_that_is_updated_stays_where_it_is(client: CloudClient) -> None:
    thread_id = client.create()
    hello = client.write(thread_id, "user", "Hello")
    answer = client.write(thread_id, "assistant", "H", hello)
    before = client.call("threads.messages.list", thread_id)["messages"][0]
    client.call("threads.messages.update", thread_id, answer, {"content": said("assistant", "Hi there")})
    after = client.call("threads.messages.list", thread_id)["messages"][0]

    assert {**after, "content": None, "updated_at": None} == {**before, "content": None, "updated_at": None}
    assert after["content"] == said("assistant", "Hi there")
    update = ("threads.messages.update", thread_id, "msg_none", {"content": said("user", "x")})
    assert refused(lambda: client.call(*update)) == (404, "unknown_message")


def test_a_long_history_comes_page_by_page(client: CloudClient) -> None:
    thread_id = client.create()
    made: list[str] = []
    for number in range(25):
        role = ("user", "assistant")[number % 2]
        made.append(client.write(thread_id, role, str(number), made[-1] if made else None))
    found: list[str] = []
    query: Json = {"format": "aui/v0", "limit": 10}
    while page := client.call("threads.messages.list", thread_id, query)["messages"]:
        found += [message["id"] for message in page]
        assert len(page) <= 10
        query["after"] = found[-1]

    assert found == made[::-1]


def test_what_a_user_says_of_a_message_is_kept_and_the_agent_is_told(client: CloudClient, bees: Bees) -> None:
    thread_id = client.create()
    hello = client.write(thread_id, "user", "Hello")
    answer = client.write(thread_id, "assistant", "Hi", hello)
    opinion = {"type": "positive", "comment": "  Well said "}
    first = client.call("threads.messages.feedback", thread_id, answer, opinion)
    second = client.call("threads.messages.feedback", thread_id, answer, {"type": "negative"})

    assert (first["type"], first["comment"]) == ("positive", "Well said")
    assert (second["type"], second["feedback_id"]) == ("negative", first["feedback_id"])
    assert [(told.thread_id, told.message_id, told.type) for told in bees.feedback] == [
        (thread_id, answer, "positive"),
        (thread_id, answer, "negative"),
    ]
    assert bees.feedback[0].message["parts"] == [{"type": "text", "text": "Hi"}]
    opinion = {"type": "positive"}
    unknown = ("threads.messages.feedback", thread_id, "msg_none", opinion)
    assert refused(lambda: client.call(*unknown)) == (404, "unknown_message")


def test_messages_that_are_written_at_once_are_each_below_the_one_before(client: CloudClient) -> None:
    thread_id = client.create()
    ids = [f"local-{number}" for number in range(30)]
    messages = [
        {"id": id, "parentId": ids[at - 1] if at else None, "content": said(("user", "assistant")[at % 2], id)}
        for at, id in enumerate(ids)
    ]
    client.call("persist", {"threadId": thread_id, "messages": messages})

    assert [text for _, text in client.texts(thread_id)] == ids


def test_the_clients_own_loading_finds_all_of_a_history_longer_than_a_page(client: CloudClient, url: str) -> None:
    thread_id = client.create()
    headers = {"authorization": f"Bearer {API_KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
    parent = None
    with httpx.Client(base_url=url, headers=headers) as posting:
        for number in range(420):
            body = {"parent_id": parent, "format": "aui/v0", "content": said("user", str(number))}
            parent = posting.post(f"/v1/threads/{thread_id}/messages", json=body).json()["message_id"]
    loaded = client.call("load", {"threadId": thread_id})

    assert [text_of(message["content"]) for message in loaded["messages"]] == [str(at) for at in range(419, -1, -1)]
    assert [message["height"] for message in loaded["messages"]] == list(range(419, -1, -1))
    assert loaded["pages"] == 3


# Files


def test_a_file_is_put_where_the_client_is_told_and_is_its_users(client: CloudClient, url: str) -> None:
    signed = client.call("files.generatePresignedUploadUrl", {"filename": "bees.txt"})
    put = {"url": signed["signedUrl"], "text": "The bees.", "type": "text/plain"}
    assert client.call("put", put)["status"] == 200
    assert client.call("put", put)["status"] == 409, "the address is for one file"
    download = client.call("files.generatePresignedDownloadUrl", {"url": signed["publicUrl"]})
    assert client.call("files.generatePresignedDownloadUrl", {"key": signed["key"]})["key"] == download["key"]

    for address in (signed["publicUrl"], download["signedUrl"]):
        got = client.call("get", {"url": address})
        assert (got["status"], got["text"]) == (200, "The bees.")
    other = CloudClient(url)
    asking = ("files.generatePresignedDownloadUrl", {"key": signed["key"]})
    assert refused(lambda: other.call(*asking)) == (404, "unknown_file")
    forged = {**put, "url": signed["signedUrl"].replace("owner=hive", "owner=den")}
    assert client.call("put", forged)["status"] == 403


# One user and another


def test_nobody_reads_or_changes_what_is_anothers(url: str, client: CloudClient) -> None:
    thread_id = client.create(title="Mine")
    message_id = client.write(thread_id, "user", "Secret")
    before = client.call("threads.get", thread_id), client.texts(thread_id)
    opinion = {"type": "positive"}
    body = {"parent_id": None, "format": "aui/v0", "content": said("user", "x")}
    score = {"name": "q", "data_type": "numeric", "value": 1, "thread_id": thread_id}
    calls: list[tuple[str, list[Json]]] = [
        ("threads.get", [thread_id]),
        ("threads.update", [thread_id, {"title": "Theirs"}]),
        ("threads.delete", [thread_id]),
        ("threads.messages.list", [thread_id]),
        ("threads.messages.create", [thread_id, body]),
        ("threads.messages.update", [thread_id, message_id, {"content": said("user", "x")}]),
        ("threads.messages.feedback", [thread_id, message_id, opinion]),
        ("runs.stream", [{"thread_id": thread_id, "assistant_id": "system/thread_title", "messages": []}]),
        ("runs.report", [{"thread_id": thread_id, "status": "completed"}]),
        ("scores.create", [score]),
    ]
    for other in (CloudClient(url), CloudClient(url, apiKey=API_KEY, userId="ann", workspaceId="den")):
        for path, args in calls:
            with pytest.raises(CloudFailed) as raised:
                other.call(path, *args)
            assert (path, raised.value.status, raised.value.code) == (path, 404, "unknown_thread")
        assert other.call("threads.list", {"after": thread_id}) == {"threads": []}
    token = httpx.post(f"{url}/v1/auth/tokens/anonymous").json()["access_token"]
    events = {"events": [{"kind": "message_sent", "thread_id": thread_id}]}
    answer = httpx.post(f"{url}/v1/events", json=events, headers={"authorization": f"Bearer {token}"})
    assert answer.json() == {"kept": 0}

    assert (client.call("threads.get", thread_id), client.texts(thread_id)) == before


# A restart


def test_everything_is_there_after_a_restart(bees: Bees, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'bees.db'}"
    with served(app_of(bees, store=store)) as url:
        tokens = httpx.post(f"{url}/v1/auth/tokens/anonymous").json()
        client = CloudClient(url, tokens=[tokens["access_token"]])
        thread_id = client.create(title="Bees", metadata={"hive": 1})
        hello = client.write(thread_id, "user", "Hello")
        client.write(thread_id, "assistant", "Hi", hello)
        thread = client.call("threads.get", thread_id)
        messages = client.call("threads.messages.list", thread_id)
    with served(app_of(bees, store=store)) as url:
        client = CloudClient(url, tokens=[tokens["access_token"]])
        assert client.call("threads.list") == {"threads": [thread]}
        assert client.call("threads.messages.list", thread_id) == messages
        renewed = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": tokens["refresh_token"]["token"]})
        assert CloudClient(url, tokens=[renewed.json()["access_token"]]).call("threads.list") == {"threads": [thread]}
