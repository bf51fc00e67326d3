"""What clients do that they should not: each act is a client, or many, at their worst; and who has to bear it.

An act ends by itself, within seconds. It asserts that no answer is a fault of the server's, and nothing else: whom it
may have harmed is for the story to find out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from tests.stories.agent_deeds import DEEDS, SYNC_DEEDS
from tests.stories.wire import LOST, Answer, Wire, frame, tear

SOCKETS: Final = 60  #: connections that a flood opens
RUNS: Final = 6  #: runs that one act starts
#: A failed run is a 500 there, and no fault: docs/protocol/text-sse-json.md, "How a failure shows". OpenAI's clients
#: expect it too.
FAILED_IS_500: Final = ("/text", "/sse", "/json", "/v1/chat/completions")


class Trouble:
    """Who makes trouble, and on which threads.

    Args:
        url: Where the server is.
        random: What decides.
        name: Of the story; its threads begin with it.
    """

    def __init__(self, url: str, random: Random, name: str) -> None:
        self.random = random
        self.name = name
        self.threads = [f"{name}-rough-{number}" for number in range(4)]
        self.owners = [f"{name}-ada", f"{name}-ben"]
        self.controls: list[str] = []  #: threads that are not theirs
        self._url = url
        self._left: list[asyncio.StreamWriter] = []

    def wire(self, owner: str = "") -> Wire:
        return Wire(self._url, owner or self.random.choice(self.owners))

    def thread(self) -> str:
        return self.random.choice(self.threads)

    def keep(self, writer: asyncio.StreamWriter) -> None:
        """Leave a connection open until the story ends."""
        self._left.append(writer)

    def close(self) -> None:
        """Tear off what was left open."""
        for writer in self._left:
            tear(writer)
        self._left.clear()

    async def ask(self, method: str, path: str, body: Any = None, *, owner: str = "", enough: float = 10) -> Answer:
        """Ask, and check that the server is not at fault."""
        answer = await self.wire(owner).ask(method, path, body, enough=enough)
        fine = answer.status < 500 or answer.status == 503
        failed_run = answer.status == 500 and path.partition("?")[0] in FAILED_IS_500
        assert fine or failed_run, f"{method} {path} was answered with {answer.status} {answer.body[:500]!r}"
        return answer

    def deed(self) -> tuple[str, dict[str, Any]]:
        """Return the name of a deed, and the command that asks for it."""
        if self.random.random() < 0.15:
            name = self.random.choice(sorted(SYNC_DEEDS))
            return name, {"type": "do-in-a-thread", "deed": name}
        name = self.random.choice(sorted(DEEDS))
        return name, {"type": "do", "deed": name}

    async def do(self, thread: str, *, deed: str = "", enough: float | None = None, **fields: Any) -> Answer:
        """Start a run that does a deed, and read its stream for a while."""
        command = {"type": "do", "deed": deed} if deed else self.deed()[1]
        protocol = self.random.choice(["assistant-transport", "data-stream"])
        body = {"threadId": thread, "commands": [command], **fields}
        seconds = self.random.choice([0.05, 0.3, 3]) if enough is None else enough
        return await self.ask("POST", f"/assistant?agent=rough&protocol={protocol}", body, enough=seconds)


Act = Callable[[Trouble], Coroutine[Any, Any, None]]


async def deeds_are_done(trouble: Trouble) -> None:
    """Agents do what they should not, several at once, watched or not."""
    await asyncio.gather(*(trouble.do(trouble.thread()) for _ in range(RUNS)))


async def every_protocol_asks_for_deeds(trouble: Trouble) -> None:
    """The same, by every endpoint that takes messages."""
    asked = []
    for number in range(RUNS):
        thread, deed = f"{trouble.thread()}-{number}", trouble.random.choice(sorted(DEEDS))
        message = {"id": f"m-{number}", "role": "user", "content": deed}
        parts = {"id": f"m-{number}", "role": "user", "parts": [{"type": "text", "text": deed}]}
        asked.append(
            trouble.random.choice(
                [
                    ("/chat?agent=rough", {"id": thread, "messages": [parts]}),
                    ("/chat?agent=rough&protocol=data-stream", {"threadId": thread, "messages": [message]}),
                    ("/ag-ui?agent=rough", {"threadId": thread, "runId": "r", "messages": [message], "state": {}}),
                    ("/text?agent=rough", {"threadId": thread, "messages": [message]}),
                    ("/sse?agent=rough", {"messages": [message]}),
                    ("/json?agent=rough", {"threadId": thread, "messages": [message]}),
                    ("/v1/chat/completions", {"model": "rough", "stream": True, "messages": [message]}),
                    ("/v1/chat/completions", {"model": "rough", "messages": [message]}),
                ]
            )
        )
    await asyncio.gather(*(trouble.ask("POST", path, body, enough=3) for path, body in asked))


async def hooks_fail(trouble: Trouble) -> None:
    """An agent's hooks leave, interrupt, and raise what cannot be written down."""
    thread, owner = trouble.thread(), trouble.owners[0]
    body = {"threadId": thread, "commands": [{"type": "do", "deed": "answers"}]}
    await trouble.ask("POST", "/assistant?agent=rough", body, owner=owner)
    for path, sent in (
        (f"/threads/{thread}/title", {}),
        (f"/threads/{thread}/suggestions", {}),
        (f"/threads/{thread}/messages/m/feedback", {"type": "positive"}),
    ):
        await trouble.wire(owner).ask("POST", path, sent, enough=5)  # how it fails is not looked at


async def followers_flood_and_vanish(trouble: Trouble) -> None:
    """Many follow a thread while it changes, and are gone at once."""
    thread = trouble.thread()
    wire = trouble.wire(trouble.owners[0])
    body = {"threadId": thread, "commands": [{"type": "do", "deed": "grows"}]}
    await trouble.ask("POST", "/assistant?agent=rough", body, owner=trouble.owners[0], enough=0.2)
    opened = []
    for number in range(SOCKETS):
        with contextlib.suppress(*LOST):
            if number % 4 == 0:
                opened.append(await wire.upgrade(f"/threads/{thread}/ws"))
            else:
                head = wire.head("GET", f"/threads/{thread}/events")
                opened.append(await wire.connect(head, buffer=4096 if number % 3 == 0 else 0))
    await asyncio.sleep(trouble.random.random())
    for _, writer in opened:
        tear(writer)


async def readers_stop_reading(trouble: Trouble) -> None:
    """Some ask for a lot, and take none of it until the story ends."""
    thread, owner = trouble.thread(), trouble.owners[0]
    wire = trouble.wire(owner)
    body = {"threadId": thread, "commands": [{"type": "do", "deed": "grows"}]}
    data = json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": str(len(data))}
    for head in (
        wire.head("POST", "/assistant?agent=rough", fields) + data,
        wire.head("GET", f"/threads/{thread}/events"),
        wire.head("GET", f"/threads/{thread}/state"),
    ):
        with contextlib.suppress(*LOST):
            _, writer = await wire.connect(head, buffer=4096)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a transport that reads
            trouble.keep(writer)
    await asyncio.sleep(0.2)


async def requests_are_left_half_sent(trouble: Trouble) -> None:
    """Headers without an end, bodies without an end, and connections that say nothing."""
    wire = trouble.wire()
    whole = wire.head("POST", "/assistant", {"content-type": "application/json", "content-length": "1000"})
    for data in (
        b"",
        whole[:20],
        whole[:-2],
        whole + b"{",
        whole + b'{"commands": [',
        b"GET / HTTP/1.1\r\nx: " + b"y" * 60_000,
    ):
        for _ in range(5):
            with contextlib.suppress(*LOST):
                _, writer = await wire.connect(data)
                trouble.keep(writer)


async def bodies_are_odd(trouble: Trouble) -> None:
    """Bodies that are too large, too deep, no JSON, or of the wrong kind, at every endpoint."""
    bodies: list[bytes] = [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"commands": 1}',
        b'{"commands": [{"type": "do", "deed": "' + b"\xff" * 10 + b'"}]}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"threadId": "\\ud800", "commands": []}',
        b'{"threadId": "../../etc", "commands": []}',
        b'{"state": {"__proto__": 1}, "commands": []}',
        b'{"state": [' + b"1," * 400_000 + b"1]}",
        b'{"state": "' + b"x" * 3_000_000 + b'"}',
        b'{"state": 1' + b"0" * 10_000 + b"}",
        b'{"messages": [' + b'{"role":"user","content":"a"},' * 3_000 + b'{"role":"user","content":"b"}]}',
        b'{"messages": [{"role":"assistant","parts":[{"type":"tool-call"}]},{"role":"user","content":"b"}]}',
    ]
    paths = ["/assistant", "/resume", "/chat", "/ag-ui", "/text", "/sse", "/json", "/v1/chat/completions"]
    paths += ["/initial-state", "/cancel", "/threads", "/attachments"]
    for body in trouble.random.sample(bodies, 6):
        path = trouble.random.choice(paths)
        await trouble.ask("POST", path, body, enough=5)
    path = f"/threads/{trouble.thread()}/state"
    await trouble.ask("PATCH", path, trouble.random.choice(bodies), enough=5)


async def sockets_carry_anything(trouble: Trouble) -> None:
    """A WebSocket gets what is no command, and no frame."""
    thread, owner = trouble.thread(), trouble.owners[0]
    body = {"threadId": thread, "commands": [{"type": "do", "deed": "answers"}]}
    await trouble.ask("POST", "/assistant?agent=rough", body, owner=owner)
    sent = [
        frame(b"no json"),
        frame(b"\xff\xfe"),
        frame(b'{"type":"commands"}'),
        frame(b'{"type":"commands","ref":1,"commands":[{"type":"do","deed":"exits"}],"agent":"rough"}'),
        frame(b"[" * 200_000),
        frame(b"x" * 3_000_000),
        frame(b"", opcode=9) * 1_000,
        frame(b"x", opcode=3),
        frame(b"unmasked", masked=False),
        frame(b"part", final=False) * 500,
        frame(b"bytes", opcode=2),
        frame(b"\x03\xe8", opcode=8),
        b"\x00" * 1_000,
    ]
    for data in trouble.random.sample(sent, 5):
        with contextlib.suppress(*LOST):
            reader, writer = await trouble.wire(owner).upgrade(f"/threads/{thread}/ws")
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0.05)
            tear(writer)


async def threads_are_deleted_while_they_run(trouble: Trouble) -> None:
    """A thread is deleted in the middle of a run, and made again, several times."""
    thread, owner = f"{trouble.name}-deleted", trouble.owners[0]
    deeds = ["writes_from_a_thread", "leaves_a_thread", "leaves_a_task", "ignores_that_it_was_cancelled", "grows"]
    for _ in range(3):
        body = {"threadId": thread, "commands": [{"type": "do", "deed": trouble.random.choice(deeds)}]}
        await trouble.ask("POST", "/assistant?agent=rough", body, owner=owner, enough=0.1)
        await trouble.ask("DELETE", f"/threads/{thread}", owner=owner)
    await trouble.ask("GET", f"/threads/{thread}/state", owner=owner)


async def threads_are_patched_and_cancelled_while_they_run(trouble: Trouble) -> None:
    """A run is stopped, its state patched, and more is sent behind it."""
    thread, owner = f"{trouble.name}-patched", trouble.owners[0]
    patch = [{"op": "add", "path": "/list/-", "value": 1}, {"op": "replace", "path": "/text", "value": "patched"}]
    for _ in range(3):
        command = trouble.deed()[1]
        policy = trouble.random.choice(["enqueue", "reject", "interrupt", "rollback"])
        body = {"threadId": thread, "commands": [command], "policy": policy}
        await trouble.ask("POST", "/assistant?agent=rough", body, owner=owner, enough=0.1)
        await trouble.ask("PATCH", f"/threads/{thread}/state", patch, owner=owner, enough=5)
        await trouble.ask("POST", "/cancel", {"threadId": thread, "queued": True}, owner=owner, enough=5)


async def others_pry(trouble: Trouble) -> None:
    """Who owns nothing of it asks for the control's threads, and for their end."""
    for thread in trouble.controls:
        asked = [
            ("GET", f"/threads/{thread}/state", None),
            ("GET", f"/threads/{thread}/events", None),
            ("GET", f"/status/{thread}", None),
            ("PATCH", f"/threads/{thread}/state", [{"op": "add", "path": "/text", "value": "harm"}]),
            ("POST", "/cancel", {"threadId": thread, "queued": True}),
            ("GET", f"/threads/{thread}/messages", None),
            ("DELETE", f"/threads/{thread}", None),
        ]
        for method, path, body in trouble.random.sample(asked, len(asked)):
            answer = await trouble.ask(method, path, body, enough=3)
            assert answer.status in (0, 204, 403, 404, 422, 429, 503), f"{method} {path} of another's: {answer}"
            assert b"control" not in answer.body, f"{method} {path} of another's: {answer}"
        listed = await trouble.ask("GET", "/threads", enough=3)
        assert thread.encode() not in listed.body


async def uploads_are_odd(trouble: Trouble) -> None:
    """Files that are no files, too many, cut off, or with names that are none."""
    for number in range(5):
        name = trouble.random.choice(["a.png", "../../x", "%00", "x" * 300, "a\u0000b"])
        path = f"/attachments?name={''.join(f'%{byte:02x}' for byte in name.encode())}"
        fields = {"content-type": trouble.random.choice(["image/png", "text/html", "text/plain", "x"])}
        data = bytes(trouble.random.choice([0, 10, 100_000]))
        answer = await trouble.wire().ask("POST", path, data, fields, enough=5)
        assert answer.status < 500 or answer.status == 503, answer
        if number == 0:
            wire = trouble.wire()
            with contextlib.suppress(*LOST):
                _, writer = await wire.connect(wire.head("POST", path, {**fields, "content-length": "1000"}) + b"half")
                trouble.keep(writer)


ACTS: Final[tuple[Act, ...]] = (
    deeds_are_done,
    deeds_are_done,
    deeds_are_done,
    every_protocol_asks_for_deeds,
    every_protocol_asks_for_deeds,
    hooks_fail,
    followers_flood_and_vanish,
    readers_stop_reading,
    requests_are_left_half_sent,
    bodies_are_odd,
    sockets_carry_anything,
    threads_are_deleted_while_they_run,
    threads_are_patched_and_cancelled_while_they_run,
    others_pry,
    uploads_are_odd,
)
