"""Ids from elsewhere, deleted messages and run leases, as the published client of Assistant Cloud asks for them."""

from __future__ import annotations

from tests.clients.cloud import CloudClient, said, text_of
from tests.clients.cloud_scene import Bees, bees, client, refused, url
from tests.clients.node import Json
from tests.clients.packages import CLIENTS

__all__ = ["Bees", "bees", "client", "url"]


if CLIENTS.newest:  # its run leases came with assistant-cloud 0.2.11, so this is for `make test-newest`

    def test_a_thread_is_found_again_by_its_id_elsewhere(client: CloudClient) -> None:
        first = client.create(external_id="mine", upsert=True)
        again = client.create(external_id="mine", upsert=True)

        assert first == again
        assert client.call("threads.get", first)["external_id"] == "mine"

    def test_messages_that_are_copied_twice_are_there_once(client: CloudClient) -> None:
        thread_id = client.create()
        user = {"parent_id": None, "format": "aui/v0", "content": said("user", "hi"), "external_id": "u1"}
        answer = {**user, "content": said("assistant", "Hel"), "external_id": "a1", "parent_external_id": "u1"}
        made = [client.call("threads.messages.create", thread_id, body)["message_id"] for body in (user, answer)]
        whole = {**answer, "content": said("assistant", "Hello")}
        again = [client.call("threads.messages.create", thread_id, body)["message_id"] for body in (user, whole)]
        listed = client.call("threads.messages.list", thread_id)["messages"]

        assert made == again
        assert [(m["external_id"], m["parent_id"], text_of(m["content"])) for m in listed] == [
            ("a1", made[0], "Hello"),
            ("u1", None, "hi"),
        ]

    def test_deleted_messages_are_gone(client: CloudClient) -> None:
        thread_id = client.create()
        first = client.write(thread_id, "user", "hi")
        second = client.write(thread_id, "assistant", "Hello", first)
        client.call("threads.messages.delete", thread_id, [first, "gone-already"])
        left = client.call("threads.messages.list", thread_id)["messages"]

        assert [(message["id"], message["parent_id"]) for message in left] == [(second, None)]
        assert refused(lambda: client.call("threads.messages.delete", thread_id, [first])) == (404, "unknown_message")

    def test_a_run_is_under_way_until_its_page_ends_it(client: CloudClient) -> None:
        thread_id = client.create()
        steps: Json = [["append", thread_id, "a1", None, "aui/v0", said("assistant", "Hel"), "running"]]
        assert client.call("persisting", {"steps": steps, "messages": ["a1"]}) == [True]
        (begun,) = client.call("threads.messages.list", thread_id)["messages"]
        steps += [
            ["update", thread_id, "a1", "aui/v0", said("assistant", "Hello"), "running"],
            ["update", thread_id, "a1", "aui/v0", said("assistant", "Hello!"), "done"],
        ]
        assert client.call("persisting", {"steps": steps, "messages": ["a1"]}) == [False]
        (ended,) = client.call("threads.messages.list", thread_id)["messages"]

        assert begun["run"]["status"] == "running"
        assert 0 <= begun["run"]["last_heartbeat_ms_ago"] < 60_000
        assert ended["run"]["status"] == "ended"
        assert (ended["id"], text_of(ended["content"])) == (begun["id"], "Hello!")

    def test_whoever_has_lost_a_run_writes_no_more(client: CloudClient) -> None:
        thread_id = client.create()
        body = {"parent_id": None, "format": "aui/v0", "content": said("assistant", "Hel"), "external_id": "a1"}
        first = client.call("threads.messages.create", thread_id, {**body, "open_run": True})
        second = client.call("threads.messages.create", thread_id, {**body, "open_run": True})
        lost, held = first["run"]["lease_id"], second["run"]["lease_id"]
        path = ("threads.messages.update", thread_id, first["message_id"])
        late = refused(lambda: client.call(*path, {"content": said("assistant", "late"), "lease_id": lost}))
        beat = client.call("threads.runs.heartbeat", thread_id, held)
        client.call("threads.runs.end", thread_id, held, {"reason": "error"})
        client.call("threads.runs.end", thread_id, held)
        over = refused(lambda: client.call("threads.runs.heartbeat", thread_id, held))
        after = refused(lambda: client.call(*path, {"content": said("assistant", "late"), "lease_id": held}))

        assert beat["heartbeat_interval_ms"] == second["run"]["heartbeat_interval_ms"]
        assert late == (409, "lease_mismatch")
        assert over == after == (409, "run_ended")
        assert text_of(client.call("threads.messages.list", thread_id)["messages"][0]["content"]) == "Hel"

    def test_a_report_may_say_what_a_run_cost(client: CloudClient) -> None:
        report = {
            "thread_id": client.create(),
            "status": "error",
            "outcome_type": "persistence_error",
            "user_message_id": "u1",
            "root_span_id": "s1",
            "cost_usd": 0.5,
            "cost_details": {"input": 0.25, "output": 0.25, "total": 0.5},
        }
        assert client.call("runs.report", report)["run_id"].startswith("run_")
