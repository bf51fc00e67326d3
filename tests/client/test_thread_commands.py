"""`statecast threads`, `show`, `cancel`, `export` and `import`, as processes of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.client.terminal import PATIENCE, Terminal, out, ran, running
from tests.transport.travels import without_ids

pytestmark = pytest.mark.slow

AGENT = "tests.client.agents:agent"


HELLO = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "hello"}]}}


def say(url: str, thread: str, *commands: dict[str, object]) -> None:
    body = {"threadId": thread, "commands": commands or [HELLO]}
    httpx.post(f"{url}/assistant", json=body, timeout=PATIENCE).raise_for_status()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("threads") / "threads.db"


@pytest.fixture(scope="module")
def url(store: Path) -> Iterator[str]:
    with running("serve", AGENT, "--store", f"sqlite:///{store}", "--open-list", "--port", "0") as process:
        line = out(process).readline()
        found = line.rstrip().rpartition(" ")[2]
        say(found, "first")
        say(found, "second", {"type": "fail"})
        say(found, "third")
        yield found
        process.terminate()
        process.wait(timeout=PATIENCE)


def test_threads_are_listed_the_latest_first(url: str) -> None:
    status, listed, _ = ran("threads", "--url", url)
    assert status == 0
    assert [line.split()[2] for line in listed.splitlines()] == ["third", "second", "first"]

    _, lines, _ = ran("threads", "--json", STATECAST_URL=url)
    assert [json.loads(line)["remoteId"] for line in lines.splitlines()] == ["third", "second", "first"]

    _, some, more = ran("threads", "--url", url, "--limit", "2")
    assert (len(some.splitlines()), more) == (2, "there are more; --limit 20 shows up to 20\n")


def test_a_thread_is_shown(url: str) -> None:
    status, shown, about = ran("show", "first", "--url", url)
    assert status == 0
    assert shown.startswith("user: hello\nassistant: ")
    assert about.startswith("completed, revision ")

    _, text, _ = ran("show", "first", "--json", "--url", url)
    assert json.loads(text)["state"]["messages"][0]["role"] == "user"

    _, _, failed = ran("show", "second", "--url", url)
    without, status_line, reason = failed.splitlines()
    assert without == "the state has no messages; --json shows all of it"
    assert status_line.startswith("failed, revision ")
    assert reason.startswith("agent_failed: ")


def test_colors_are_for_terminals(url: str) -> None:
    with Terminal("show", "first", "--url", url) as terminal:
        assert terminal.end() == 0
    assert b"\x1b[1;36muser: \x1b[0m" in terminal.written
    with Terminal("show", "first", "--url", url, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    assert b"36m" not in terminal.written
    with Terminal("show", "first", "--store", "memory") as terminal:
        assert terminal.end() == 2
    assert b"expected the URL of a store that outlives its server" in terminal.written


def test_nothing_is_cancelled_where_nothing_runs(url: str) -> None:
    assert ran("cancel", "first", "--url", url) == (1, "", "no run is active\n")


def test_a_thread_is_exported(url: str, tmp_path: Path) -> None:
    status, document, error = ran("export", "first", "--url", url)
    assert (status, error) == (0, "")
    assert json.loads(document)["state"]["messages"][0]["role"] == "user"

    file = tmp_path / "first.json"
    status, printed, about = ran("export", "first", "--url", url, "--to", str(file))
    assert (status, printed, about) == (0, "", f"{file}: {file.stat().st_size} bytes\n")
    assert json.loads(file.read_text()) == json.loads(document)

    nowhere = tmp_path / "no" / "first.json"
    unwritten = ran("export", "first", "--url", url, "--to", str(nowhere))
    assert unwritten == (1, "", f"statecast: {nowhere} cannot be written: No such file or directory\n")


def test_a_thread_is_imported(url: str, tmp_path: Path) -> None:
    file = tmp_path / "first.json"
    ran("export", "first", "--url", url, "--to", str(file))
    assert ran("import", str(file), "--url", url, "--thread", "copy") == (0, "copy\n", "")
    _, made, _ = ran("import", str(file), STATECAST_URL=url)
    for thread in ("copy", made.strip()):
        document = json.loads(ran("export", thread, "--url", url)[1])
        assert (document["threadId"], without_ids(document)) == (thread, without_ids(json.loads(file.read_text())))

    status, _, taken = ran("import", str(file), "--url", url, "--thread", "copy")
    assert (status, taken.count("\n")) == (2, 1)
    assert "thread_exists" in taken
    for content in (b"no document", b'{"title": "\xff"}', b'{"state": ' + b"[" * 5_000, None):
        file.unlink() if content is None else file.write_bytes(content)
        status, _, error = ran("import", str(file), "--url", url)
        assert (status, error.count("\n")) == (1, 1)
        assert "expected a document that `statecast export` wrote" in error


@pytest.mark.parametrize("command", [["show"], ["cancel"], ["export"]])
def test_an_unknown_thread_is_one_line(url: str, command: list[str]) -> None:
    status, shown, error = ran(*command, "nowhere", "--url", url)
    assert (status, shown, error.count("\n")) == (2, "", 1)
    assert "unknown_thread" in error


def test_a_store_that_is_in_use_says_whom_to_ask(url: str, store: Path) -> None:
    status, _, error = ran("threads", "--store", f"sqlite:///{store}")
    assert status == 2
    assert "ask that one with --url" in error


def test_a_store_is_read_without_a_server(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'threads.db'}"
    with running("serve", AGENT, "--store", database, "--port", "0") as process:
        say(out(process).readline().rstrip().rpartition(" ")[2], "kept")
        process.terminate()
        process.wait(timeout=PATIENCE)

    _, listed, _ = ran("threads", "--store", database)
    assert listed.split()[2] == "kept"
    status, shown, about = ran("show", "kept", "--store", database)
    assert (status, shown.startswith("user: hello\n")) == (0, True)
    assert about.startswith("completed")
    assert ran("threads", "--store", database, "--owner", "ada") == (0, "", "there are no threads\n")
    status, document, error = ran("export", "kept", "--store", database)
    assert (status, error) == (0, "")
    kept = json.loads(document)
    assert (kept["threadId"], kept["run"]["status"], len(kept["runs"])) == ("kept", "completed", 1)
    assert kept["history"][-1]["revision"] == kept["revision"]
    for command in ("show", "export"):
        status, _, unknown = ran(command, "nowhere", "--store", database)
        assert (status, unknown) == (2, 'statecast: expected the id of a thread in the store, got "nowhere"\n')
