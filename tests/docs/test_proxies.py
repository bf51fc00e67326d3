"""nginx and Caddy in front of a server, configured as the guide and `deploy/` say: what reaches the page, and when.

Only ports, names and the paths of certificates are replaced. Each server runs as the guide starts it.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import Limits, Uploads
from tests.clients.node import Browser, Json, need_chromium
from tests.clients.serving import Restarting
from tests.docs.pages import ROOT, load
from tests.engines.certificate import certificate_in
from tests.engines.proxies import caddy, nginx
from tests.engines.valkey import free_port

GUIDE = load(ROOT / "docs" / "guides" / "deploying.md")
FILES = {block.file: block.text for block in GUIDE.blocks if block.file}
DEPLOY = ROOT / "deploy"
NAME = "chat.example.com"
PATIENCE = 60  # seconds for one answer
MIB = 2**20

#: Says the words of a message one by one; before each it waits for a file of that name.
AGENT = """
from pathlib import Path

import anyio

from statecast import AddMessage, Agent, Limits, Run, create_app

agent = Agent("words", initial={"messages": []})


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    message = run.messages.assistant()
    for word in command.message.text.split():
        while not Path(word).exists():
            await anyio.sleep(0.01)
        message.append_text(f"{word} ")
        run.flush()


app = create_app(
    agent,
    store="sqlite:///threads.db",
    allowed_hosts=["chat.example.com"],
    identify=lambda connection: connection.client.host,
    limits=Limits(heartbeat_seconds=0.5),
    page="page",
)
"""

PAGE = """<!doctype html>
<html lang="en">
  <title>Words</title>
  <link rel="icon" href="data:,">
  <main></main>
  <script type="module">
    import { connect } from "./client.js";

    const query = new URLSearchParams(location.search);
    const thread = connect("", query.get("thread"), { webSocket: query.has("socket") });
    thread.subscribe(() => {
      const { state, connection } = thread.getSnapshot();
      const texts = (state?.messages ?? []).flatMap(({ parts }) => parts.map(({ text }) => text));
      document.querySelector("main").textContent = `${connection}: ${texts.join(" | ")}`;
    });
    window.say = (text) => thread.send(text);
  </script>
</html>
"""


@dataclass(frozen=True)
class Site:
    """A server behind a proxy."""

    kind: str
    address: str  #: of the proxy
    server: Restarting
    folder: Path  #: the server's
    verify: ssl.SSLContext | bool

    def client(self, **settings: Any) -> httpx.Client:
        """Return a client of the proxy, which takes compressed answers as browsers do."""
        transport = httpx.HTTPTransport(verify=self.verify, local_address=settings.pop("local_address", None))
        headers = {"accept-encoding": "gzip", **settings.pop("headers", {})}
        return httpx.Client(base_url=self.address, transport=transport, headers=headers, timeout=PATIENCE, **settings)

    def allow(self, *words: str) -> None:
        """Let the agent say words."""
        for word in words:
            (self.folder / word).touch()


def replaced(text: str, by: Mapping[str, str]) -> str:
    """Return a configuration with each of these replaced, all of which are in it."""
    for old, new in by.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def configuration(kind: str, port: int, server: int, files: Path) -> tuple[str, str]:
    """Return the configuration of a kind with our ports and our certificate, and the scheme of its site."""
    certificate, key = certificate_in(files)
    upstream = {"127.0.0.1:8000": f"127.0.0.1:{server}"}
    match kind:
        case "nginx":
            there = f"/etc/letsencrypt/live/{NAME}"
            ours = {f"{there}/fullchain.pem": str(certificate), f"{there}/privkey.pem": str(key)}
            ours |= {"listen 443": f"listen 127.0.0.1:{port}", "listen 80": f"listen 127.0.0.1:{free_port()}"}
            return replaced(FILES["chat.conf"], ours | upstream | {NAME: "localhost"}), "https"
        case "caddy":
            ours = {f"{NAME} {{\n": f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}\n"}
            return replaced(FILES["Caddyfile"], ours | upstream), "https"
        case _:
            ours = {"server-1:8000": f"127.0.0.1:{server}", "    server server-2:8000;\n": ""}
            ours |= {"listen 80": f"listen 127.0.0.1:{port}", NAME: "localhost"}
            return replaced((DEPLOY / "nginx.conf").read_text(), ours), "http"


def options() -> list[str]:
    """Return the options with which the guide starts the server."""
    (line,) = re.findall(r"Start the server with `([^`]+)`", GUIDE.text)
    return shlex.split(line)


@pytest.fixture(scope="module", params=["nginx", "caddy", "deploy's nginx"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a server behind a proxy."""
    folder, files = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("proxy")
    (folder / "my_agent.py").write_text(AGENT)
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text(PAGE)
    proxy = nginx if "nginx" in request.param else caddy
    with Restarting("serve", "my_agent:app", *options(), "--grace", "0", folder=folder) as server:
        port = free_port()
        text, scheme = configuration(request.param, port, httpx.URL(server.url).port or 0, files)
        verify = ssl.create_default_context(cafile=str(files / "certificate.pem"))
        with proxy(text, files, f"{scheme}://localhost:{port}") as address:
            yield Site(request.param, address, server, folder, verify)


def said(text: str, thread: str) -> dict[str, Json]:
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    return {"threadId": thread, "commands": [{"type": "add-message", "message": message}]}


def test_the_two_files_for_caddy_differ_in_what_only_one_server_needs() -> None:
    lines = [line.strip() for line in (DEPLOY / "Caddyfile").read_text().splitlines()]
    theirs = [line for line in lines if not line.startswith(("#", "respond /metrics"))]
    assert theirs == [line.strip() for line in FILES["Caddyfile"].splitlines()]


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream", "chat"])
def test_a_stream_arrives_word_by_word(site: Site, protocol: str) -> None:
    words = [f"{protocol}-{number}" for number in range(3)]
    text = " ".join(words)
    path, body = f"/assistant?protocol={protocol}", said(text, f"words-{protocol}")
    if protocol == "chat":
        message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": text}]}
        path, body = "/chat", {"id": "words-chat", "messages": [message]}
    with site.client() as client, client.stream("POST", path, json=body) as response:
        assert (response.status_code, response.headers.get("content-encoding")) == (200, None)
        pieces = response.iter_bytes()
        seen = b""
        for word in words:
            site.allow(word)  # only now is it said, after the one before has arrived
            while word.encode() not in seen.split(text.encode())[-1]:
                seen += next(pieces)
        for piece in pieces:
            seen += piece


def test_events_follow_a_thread_on_which_nothing_runs(site: Site) -> None:
    site.allow("first", "second")
    with site.client() as client, site.client() as other:
        client.post("/assistant", json=said("first", "idle"))
        with client.stream("GET", "/threads/idle/events") as events:
            assert events.headers.get("content-encoding") is None
            lines = events.iter_lines()
            while not next(lines).startswith(":"):  # a heartbeat
                pass
            other.post("/assistant", json=said("second", "idle"))
            while "second " not in next(lines):
                pass


def test_uploads_pass_up_to_the_limit_and_what_is_larger_is_refused_with_a_reason(site: Site) -> None:
    assert Uploads().limit == 20 * MIB
    assert Limits().body == 16 * MIB
    with site.client(headers={"content-type": "text/plain"}) as client:
        largest = client.post("/attachments?name=a.txt", content=bytes(20 * MIB))
        larger = client.post("/attachments?name=a.txt", content=bytes(20 * MIB + 1))
        far_larger = client.post("/attachments?name=a.txt", content=bytes(40 * MIB))
        body = client.post(
            "/assistant", content=b'"' + bytes(16 * MIB) + b'"', headers={"content-type": "application/json"}
        )
        loaded = client.get(f"/attachments/{largest.json()['id']}")
    assert (largest.status_code, largest.json()["size"], len(loaded.content)) == (201, 20 * MIB, 20 * MIB)
    for answer in (larger, far_larger, body):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_what_a_client_says_of_its_address_counts_for_nothing(site: Site) -> None:
    """The threads here belong to addresses."""
    site.allow("hers")
    forged = {"x-forwarded-for": "127.0.0.3", "x-forwarded-proto": "gopher"}
    with site.client(local_address="127.0.0.2", headers=forged) as client:
        client.post("/assistant", json=said("hers", "address"))
        assert client.get("/threads/address/state").status_code == 200
        uploaded = client.post("/attachments?name=a.txt", content=b"a", headers={"content-type": "text/plain"})
    with site.client() as client:
        assert client.get("/threads/address/state").status_code == 404
    assert uploaded.json()["url"].startswith(f"{site.address}/attachments/")
    direct = httpx.get(f"{site.server.url}/threads/address/state", headers={"x-forwarded-for": "127.0.0.2"})
    assert direct.status_code == 200  # the proxy's address may say so


def test_without_the_option_no_address_is_believed(tmp_path: Path) -> None:
    (tmp_path / "my_agent.py").write_text(AGENT)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").touch()
    (tmp_path / "ours").touch()
    with Restarting("serve", "my_agent:app", folder=tmp_path) as server:
        httpx.post(f"{server.url}/assistant", json=said("ours", "address"), timeout=PATIENCE)
        forged = {"x-forwarded-for": "127.0.0.2"}
        assert httpx.get(f"{server.url}/threads/address/state", headers=forged).status_code == 200


@pytest.mark.parametrize("way", ["events", "socket"])
def test_a_page_comes_back_after_the_server_was_restarted(site: Site, way: str) -> None:
    need_chromium()
    before, after, waiting = (f"{way}-{name}" for name in ("before", "after", "waiting"))
    site.allow(before, after)
    with Browser({"ignoreHTTPSErrors": True, "steps": []}) as page, contextlib.ExitStack() as stack:
        page.step("goto", url=f"{site.address}/?thread={way}&{way}")
        page.step("evaluate", function="(text) => void say(text)", argument=f"{before} {waiting}")
        page.step("wait", selector="main", text=f"open: {before} {waiting} | {before} ")
        site.server.stop()
        stack.callback(site.server.stop)
        page.step("wait", selector="main", text="connecting: ")
        site.server.start()
        stack.pop_all()
        page.step("evaluate", function="(text) => void say(text)", argument=after)
        page.step("wait", selector="main", text=f"| {after} ")
        report = page.report()
    assert report.page_errors == []
