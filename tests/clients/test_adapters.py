"""`adapters.js` by itself, in Node: what it sends, how often, in which order; and its types."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import AddMessage, AddToolResult, Agent, Run, create_app
from statecast.http.endpoints.client_module import BROWSER
from statecast_agents import About
from tests.clients.installed import DRIVERS
from tests.clients.node import Json, need_node
from tests.clients.serving import served
from tests.clients.thread_list import MODULE

TYPES = BROWSER / "adapters.d.ts"
PATIENCE = 60  # seconds for one program

#: What every program begins with.
HEAD = """
import {
  adapters, asked, caught, createAdapters, itemOf, module, print, said, texts, url, wire,
} from "./alone.mjs";
"""


@pytest.fixture
def agent() -> Agent:
    agent = Agent("bees")

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    return agent


@pytest.fixture
def url(agent: Agent) -> Iterator[str]:
    with served(create_app(agent, open_list=True)) as base:
        yield base


def played(url: str, program: str) -> list[Json]:
    """Return what a program prints."""
    command = [need_node(), "--input-type=module", "--eval", HEAD + program, url, MODULE.as_uri()]
    answer = subprocess.run(command, cwd=DRIVERS, capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_what_got_no_answer_is_sent_again_and_happens_once(url: str) -> None:
    (sent,) = played(
        url,
        """
        wire.fails = (request) => wire.sent.filter((each) => each === request).length < 3;
        const { remoteId } = await adapters.threadList.initialize("local");
        const history = adapters.history(itemOf(remoteId));
        await history.append({ parentId: null, message: said("a", "user", "Hi") });
        await history.append({ parentId: "a", message: said("b", "assistant", "Hello") });
        await history.delete([{ parentId: null, message: said("a", "user", "Hi") }]);
        await adapters.threadList.rename(remoteId, "Bees");
        print(wire.sent.map((request) => request.replace(remoteId, "ID")));
        """,
    )
    (thread,) = httpx.get(f"{url}/threads").json()["threads"]
    loaded = httpx.get(f"{url}/threads/{thread['remoteId']}/messages").json()

    assert sent == [
        *["POST /threads"] * 3,
        *["PUT /threads/ID/messages/a?format=aui%2Fv0"] * 3,
        *["PUT /threads/ID/messages/b?format=aui%2Fv0"] * 3,
        *["DELETE /threads/ID/messages/a"] * 3,  # it is gone by then, which is what was wanted
        *["PATCH /threads/ID"] * 3,
    ]
    assert thread["title"] == "Bees"
    assert [(item["message"]["id"], item["parentId"]) for item in loaded["messages"]] == [("b", None)]


def test_what_the_server_refuses_is_an_error_and_is_not_sent_again(url: str) -> None:
    missing, wrong, strange, count = played(
        url,
        """
        print(await caught(adapters.threadList.fetch("nobody")));
        print(await caught(adapters.threadList.rename("nobody", 7)));
        wire.fails = () => new Response("<html>", { status: 200, headers: { "content-type": "text/html" } });
        print(await caught(adapters.threadList.list()));
        print(wire.sent.length);
        """,
    )

    assert (missing["name"], missing["status"], missing["code"]) == ("Refused", 404, "unknown_thread")
    assert (wrong["name"], wrong["status"], wrong["code"]) == ("Refused", 422, "invalid_request")
    assert strange["code"] == "not_statecast"
    assert count == 3


def test_a_server_that_is_busy_is_asked_again_when_it_says_and_not_for_ever(url: str) -> None:
    early, waited, given_up = played(
        url,
        """
        const busy = (after) => new Response('{"error": {"code": "server_full", "message": "m"}}', {
          status: 503, headers: { "content-type": "application/json", "retry-after": `${after}` },
        });
        wire.fails = (_, count) => count === 1 && busy(1);
        const before = performance.now();
        print((await adapters.threadList.list()).threads);
        print(performance.now() - before >= 990);
        wire.fails = () => busy(60);
        print([await caught(adapters.threadList.list()), wire.sent.length]);
        """,
    )

    assert early == []
    assert waited is True
    assert given_up[0]["status"] == 503
    assert given_up[1] == 3


def test_nobody_sees_the_threads_of_somebody_else(agent: Agent) -> None:
    async def who(request: HTTPConnection) -> str:
        if "authorization" not in request.headers:
            raise HTTPException(401, "who are you?")
        return request.headers["authorization"]

    with served(create_app(agent, identify=who)) as url:
        anns, bobs, loaded, fetched, nobody = played(
            url,
            """
            const of = (name) => createAdapters({ url, headers: async () => ({ authorization: name }) });
            await of("ann").history("t").append({ parentId: null, message: said("a", "user", "Hi") });
            print((await of("ann").threadList.list()).threads.length);
            print((await of("bob").threadList.list()).threads.length);
            print((await of("bob").history("t").load()).messages);
            print(await caught(of("bob").threadList.fetch("t")));
            print(await caught(adapters.threadList.list()));
            """,
        )

    assert (anns, bobs, loaded) == (1, 0, [])
    assert fetched["status"] == 404
    assert nobody["status"] == 401


def test_a_thread_that_the_page_names_is_made_by_its_first_message(url: str) -> None:
    empty, sent, loaded, dated = played(
        url,
        """
        const history = adapters.history("bees");
        print(await history.load());
        await history.append({ parentId: null, message: said("a", "user", "Hi") });
        await history.append({ parentId: "a", message: said("b", "assistant", "Hello") });
        print(wire.sent);
        const found = await history.load();
        print(texts(found));
        print(found.messages.every(({ message }) => message.createdAt instanceof Date));
        """,
    )

    assert empty == {"messages": []}
    assert sent[1:] == [
        "POST /threads",
        "PUT /threads/bees/messages/a?format=aui%2Fv0",
        "PUT /threads/bees/messages/b?format=aui%2Fv0",
    ]
    assert loaded == [["a", None, "Hi"], ["b", "a", "Hello"]]
    assert dated is True


def test_messages_are_written_in_order_however_long_one_takes(url: str) -> None:
    (sent,) = played(
        url,
        """
        const history = adapters.history("bees");
        await history.append({ parentId: null, message: said("a", "user", "Hi") });
        let lost = 0;
        wire.fails = (request) => request.includes("/b?") && lost++ < 2;
        await Promise.all([
          history.append({ parentId: "a", message: said("b", "assistant", "Hello") }),
          history.append({ parentId: "b", message: said("c", "user", "And?") }),
          history.update({ parentId: "b", message: said("c", "user", "And now?") }),
        ]);
        print(wire.sent.flatMap((request) => request.match(/messages.(.)/)?.[1] ?? []).join(""));
        """,
    )

    assert sent == "abbbcc"


def test_a_failed_write_rejects_and_the_next_one_is_written(url: str) -> None:
    refused, loaded = played(
        url,
        """
        const history = adapters.history("bees");
        const long = said("x".repeat(200), "user", "Hi");
        const [first] = await Promise.all([
          caught(history.append({ parentId: null, message: long })),
          history.append({ parentId: null, message: said("b", "user", "Hello") }),
        ]);
        print(first);
        print(texts(await history.load()));
        """,
    )

    assert (refused["status"], refused["code"]) == (422, "invalid_request")
    assert loaded == [["b", None, "Hello"]]


def test_another_form_of_messages_goes_both_ways(url: str) -> None:
    loaded, others, updated, deleted, pinned = played(
        url,
        """
        const format = {
          format: "ai-sdk/v6",
          encode: ({ message: { id, ...message } }) => message,
          decode: ({ id, parent_id: parentId, content, format }) => ({ parentId, message: { id, ...content }, format }),
          getId: ({ id }) => id,
        };
        const ui = (id, role, text) => ({ id, role, parts: [{ type: "text", text }], metadata: { x: 1 } });
        const entry = (parentId, ...message) => ({ parentId, message: ui(...message) });
        let shown = "bees";
        const item = () => itemOf(shown)();
        for (const id of ["bees", "wasps"]) {
          await adapters.history(id).append({ parentId: null, message: said("x", "user", "-") });
        }
        const history = adapters.history(item).withFormat(format);
        const [a, b] = [entry(null, "a", "user", "Hi"), entry("a", "b", "assistant", "Hello")];
        await history.append(a);
        await history.append(b);
        print(await history.load());
        print(texts(await adapters.history("bees").load()));
        await history.update({ ...b, message: ui("b", "assistant", "Good morning") }, "b");
        print((await history.load()).messages.map(({ message }) => message.parts[0].text));
        await history.delete([a]);
        print((await history.load()).messages.map(({ message, parentId }) => [message.id, parentId]));
        history.pin();
        shown = "wasps";
        await history.append(entry("b", "c", "user", "And?"));
        print((await adapters.history("bees").withFormat(format).load()).messages.map(({ message }) => message.id));
        """,
    )
    parts = [[{"type": "text", "text": "Hi"}], [{"type": "text", "text": "Hello"}]]

    assert loaded["headId"] == "b"
    assert loaded["messages"] == [
        {
            "parentId": None,
            "message": {"id": "a", "role": "user", "parts": parts[0], "metadata": {"x": 1}},
            "format": "ai-sdk/v6",
        },
        {
            "parentId": "a",
            "message": {"id": "b", "role": "assistant", "parts": parts[1], "metadata": {"x": 1}},
            "format": "ai-sdk/v6",
        },
    ]
    assert others[0] == ["x", None, "-"]
    assert updated == ["Hi", "Good morning"]
    assert deleted == [["b", None]]
    assert pinned == ["b", "c"]


def test_a_title_is_a_stream_of_the_published_kind(agent: Agent, url: str) -> None:
    @agent.title
    async def title(about: About) -> AsyncIterator[str]:
        yield "Grüße "
        if len(about.messages) == 2:
            raise ValueError("no words")
        yield "😀"

    grown, kept, failed = played(
        url,
        """
        const { AssistantMessageStream } = await import("assistant-stream");
        const { remoteId } = await adapters.threadList.initialize("local");
        const shown = async (...messages) => {
          const seen = [];
          const stream = await adapters.threadList.generateTitle(remoteId, messages);
          for await (const { parts } of AssistantMessageStream.fromAssistantStream(stream)) {
            seen.push(parts.map(({ type, text }) => [type, text]));
          }
          return seen;
        };
        print((await shown(said("a", "user", "Hi"))).at(-1));
        print((await adapters.threadList.fetch(remoteId)).title);
        print(await caught(shown(said("a", "user", "Hi"), said("b", "assistant", "Hello"))));
        """,
    )

    assert grown == [["text", "Grüße 😀"]]
    assert kept == "Grüße 😀"
    assert failed is not None


def test_an_answer_is_made_and_followed_without_react(url: str) -> None:
    (contents, again, status) = played(
        url,
        """
        const model = adapters.chatModel("bees");
        const answer = async (messages, localId) => {
          const seen = [];
          for await (const { content, status } of model.run(asked(messages, localId))) seen.push(content ?? status);
          return seen;
        };
        const first = await answer([said("a", "user", "Hi")], "b");
        print(first.at(-1));
        const more = [said("a", "user", "Hi"), said("b", "assistant", "You said: Hi"), said("c", "user", "And?")];
        print((await answer(more, "d")).at(-1));
        print((await (await fetch(`${url}/threads/bees/state`)).json()).state.messages.map(({ role }) => role));
        """,
    )

    assert contents == [{"type": "text", "text": "You said: Hi"}]
    assert again == [{"type": "text", "text": "You said: And?"}]
    assert status == ["user", "assistant"] * 2


@pytest.mark.parametrize("on_disconnect", ["continue", "cancel"])
def test_another_answer_begins_anew_and_is_not_ended_by_its_own_request(on_disconnect: Any) -> None:
    counting, runs = Agent("counting"), list[Run]()

    @counting.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        runs.append(run)
        message = run.messages.assistant()
        for number in range(20):
            message.append_text(f"{len(runs)}.{number} ")
            run.flush()
            await anyio.lowlevel.checkpoint()

    with served(create_app(counting, on_disconnect=on_disconnect)) as url:
        (seen,) = played(
            url,
            """
            const model = adapters.chatModel("bees");
            const seen = [];
            for (const id of ["b", "c", "d"]) {
              const answer = [];
              for await (const { content, status } of model.run(asked([said("a", "user", "Hi")], id))) {
                answer.push(content?.[0].text ?? status);
              }
              seen.push(answer);
            }
            print(seen);
            """,
        )

    for count, texts in enumerate(seen, 1):
        assert all(text.startswith(f"{count}.0 ") for text in texts)
        assert texts[-1].split() == [f"{count}.{number}" for number in range(20)]


def test_an_answer_goes_on_in_the_text_that_is_there() -> None:
    asking = Agent("asking")

    @asking.on(AddMessage)
    def ask(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.add_tool_call("ask_user", {}, id="call")
        message.append_text("I wait.")

    @asking.on(AddToolResult)
    def go_on(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f" {command.result} it is.")

    with served(create_app(asking)) as url:
        first, more = played(
            url,
            """
            const model = adapters.chatModel("bees");
            const question = said("a", "user", "Hi");
            const message = { ...said("b", "assistant", ""), content: [] };
            const options = () => ({ ...asked([question], "b"), unstable_getMessage: () => message });
            for await (const each of model.run(options())) Object.assign(message, each);
            print([message.content.map(({ type }) => type), message.status]);
            message.content[0] = { ...message.content[0], result: "Tea" };
            const shown = [];
            for await (const { content } of model.run(options())) shown.push(content);
            print(shown.at(-1));
            """,
        )

    assert first == [["tool-call", "text"], {"type": "requires-action", "reason": "tool-calls"}]
    assert more == [{"type": "text", "text": " Tea it is."}]


def test_parts_outside_the_state_are_shown_and_other_places_of_messages_are_told() -> None:
    speaking, elsewhere = Agent("speaking"), Agent("elsewhere", initial={"chat": {"messages": []}}, messages=None)

    @speaking.on(AddMessage)
    def speak(run: Run, command: AddMessage) -> None:
        run.parts.append_text("Aloud.")

    @elsewhere.on(AddMessage)
    def note(run: Run, command: AddMessage) -> None:
        for role, words in (("user", command.message.text), ("assistant", "Noted.")):
            part = {"type": "text", "text": words}
            run.state["chat"]["messages"].append({"id": f"{role}-1", "role": role, "parts": [part]})
        run.parts.append_text("")

    shown = []
    for each in (speaking, elsewhere):
        with served(create_app(each)) as url:
            shown += played(
                url,
                """
                const messages = ({ chat, messages }) => chat?.messages ?? messages;
                const model = createAdapters({ url, messages }).chatModel("bees");
                let last;
                for await (const { content } of model.run(asked([said("a", "user", "Hi")], "b"))) last = content;
                print(last.filter(({ text }) => text !== ""));
                """,
            )

    assert shown == [[{"type": "text", "text": "Aloud."}], [{"type": "text", "text": "Noted."}]]


def test_a_run_whose_beginning_was_lost_is_followed() -> None:
    slow = Agent("slow")

    @slow.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Half ")
        run.flush()
        await anyio.sleep_forever()

    with served(create_app(slow)) as url:
        (shown,) = played(
            url,
            """
            wire.fails = (request) => request.startsWith("POST /sse");
            const answer = adapters.chatModel("bees").run(asked([said("a", "user", "Hi")], "b"));
            print((await answer.next()).value.content);
            process.exit(0);
            """,
        )

    assert shown == [{"type": "text", "text": "Half "}]


def test_a_server_that_is_not_there_is_an_error_before_long(url: str) -> None:
    (lost,) = played(
        url,
        """
        const nowhere = createAdapters({ url: "http://127.0.0.1:9", patience: 100 });
        print(await caught(nowhere.chatModel(itemOf("bees")).run(asked([said("a", "user", "Hi")], "b")).next()));
        """,
    )

    assert (lost["name"], lost["message"]) == ("TypeError", "fetch failed")


def declared(name: str) -> list[str]:
    """Return the fields that a type has."""
    body = re.search(rf"^export type {name} = {{\n(.*?)^}};", TYPES.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert body is not None
    return sorted(re.findall(r"^  readonly (\w+)\??:", body[1], re.MULTILINE))


def test_what_is_declared_is_what_is_there(url: str) -> None:
    module, made, thread, history, hooks = played(
        url,
        """
        print(Object.keys(await import(module)));
        print(Object.keys(adapters).sort());
        print(Object.keys(adapters.thread("t")).sort());
        print(Object.keys(adapters.history("t")).sort());
        print(Object.keys(adapters.hooks(() => ({}))).sort());
        """,
    )
    source = MODULE.read_text("utf-8")
    options = re.search(r"export function createAdapters\({\n(.*?)\n}", source, re.DOTALL)
    assert options is not None

    assert module == re.findall(r"^export function (\w+)", TYPES.read_text("utf-8"), re.MULTILINE)
    assert made == declared("Adapters")
    assert thread == declared("ThreadAdapters")
    assert history == ["append", "delete", "load", "resume", "update", "withFormat"]
    assert hooks == ["adapter", "useChatModel"]
    assert sorted(re.findall(r"^  (\w+)", options[1], re.MULTILINE)) == declared("Options")
