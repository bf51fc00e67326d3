"""`statecast send` and `statecast watch`, as processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import cli
from tests.client.terminal import PATIENCE, Terminal, out, plain, ran, running, served


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("store")) as (url, _):
        yield url


def note(text: str) -> str:
    return json.dumps({"type": "note", "text": text})


def post(url: str, thread: str, *commands: Any) -> None:
    httpx.post(f"{url}/assistant", json={"threadId": thread, "commands": commands}, timeout=PATIENCE)


# send


def test_an_answer_is_on_stdout_and_what_became_of_it_on_stderr(url: str) -> None:
    assert ran("send", "--url", url, "--thread", "a1", "hello") == (0, 'You said "hello".\n', "completed, thread a1\n")


def test_words_without_quotes_are_one_message(url: str) -> None:
    assert ran("send", "--url", url, "hello", "there")[:2] == (0, 'You said "hello there".\n')


def test_of_a_thread_only_what_is_new_is_shown(url: str) -> None:
    ran("send", "--url", url, "--thread", "a2", "hello")
    assert ran("send", "--url", url, "--thread", "a2", "bye")[1] == 'You said "bye".\n'


def test_without_a_thread_it_is_a_new_one_and_named(url: str) -> None:
    status, answer, said = ran("send", "--url", url, "hello")
    assert (status, answer) == (0, 'You said "hello".\n')
    thread = said.removeprefix("completed, thread ").strip()
    assert httpx.get(f"{url}/threads/{thread}/state").json()["run"]["status"] == "completed"


def test_an_answer_in_message_parts_is_shown_too(url: str) -> None:
    assert ran("send", "--url", url, "--command", '{"type":"tell"}')[:2] == (0, "It was a bee.\n")


def test_several_commands_are_one_batch(url: str) -> None:
    said = ran("send", "--url", url, "--thread", "a3", "--command", note("one"), "--command", note("two"))
    assert said == (0, "", "completed, thread a3\n")
    assert httpx.get(f"{url}/threads/a3/state").json()["state"]["notes"] == ["one", "two"]


def test_a_failed_run_is_a_failed_command(url: str) -> None:
    status, answer, said = ran("send", "--url", url, "--thread", "a4", "--command", '{"type":"fail"}')
    assert (status, answer) == (1, "")
    assert said == "statecast: The agent failed. The reason is in the server's log.\nfailed, thread a4\n"


def test_a_run_that_waits_has_a_status_of_its_own_and_says_what_for(url: str) -> None:
    status, answer, said = ran("send", "--url", url, "--thread", "a5", "--command", '{"type":"call"}')
    assert (status, answer) == (3, "")
    assert 'ask_user {"question":"Why?"} waits for its result, as call_1\n' in said
    assert said.endswith("waiting, thread a5\n")
    result = {"type": "add-tool-result", "toolCallId": "call_1", "toolName": "ask_user", "result": "so"}
    answered = ran("send", "--url", url, "--thread", "a5", "--command", json.dumps(result))
    assert answered == (0, "You said so.\n", "completed, thread a5\n")


def test_open_questions_are_shown_with_their_ids(url: str) -> None:
    status, answer, said = ran("send", "--url", url, "--thread", "a6", "--command", '{"type":"ask"}')
    first, second = httpx.get(f"{url}/threads/a6/state").json()["state"]["pending"]
    assert (status, answer) == (3, "")
    assert said == (
        f'delete {{"file":"a.txt"}} waits for an answer, as {first["id"]}: Delete it? It is old.\n'
        f"text waits for an answer, as {second['id']}: Why?\n"
        "waiting, thread a6\n"
    )


@pytest.mark.parametrize("command", [["send", "hello"], ["watch", "t"], ["watch", "t", "--once"]])
def test_without_a_server_it_is_said_how_to_start_one(command: list[str]) -> None:
    status, answer, said = ran(*command, "--url", "http://127.0.0.1:9")
    assert (status, answer) == (2, "")
    assert said.count("\n") == 1
    assert said.startswith("statecast: no answer from http://127.0.0.1:9")
    assert "statecast serve my_agent.py" in said


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["send", "--command", '{"type":"nonsense"}'], "unknown_command"),
        (["send", "--thread", "no/id", "hello"], "statecast: "),
        (["send", "--agent", "nobody", "hello"], "unknown_agent"),
        (["watch", "nobody", "--once"], "unknown_thread"),
        (["watch", "a b"], "invalid_thread_id"),
    ],
)
def test_what_is_refused_is_one_line(url: str, command: list[str], text: str) -> None:
    status, answer, said = ran(*command, "--url", url)
    assert (status, answer) == (2, "")
    assert text in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["send"],
        ["send", "--command", "{"],
        ["send", "--command", "[]"],
        ["send", "--command", '{"no":"type"}'],
        ["send", "hello", "--command", '{"type":"x"}'],
        ["watch"],
    ],
)
def test_bad_arguments_are_answered_with_where_to_look(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said, where = capsys.readouterr().err.splitlines()
    assert said.startswith(f"statecast {arguments[0]}: ")
    assert f"statecast {arguments[0]} --help" in where


def test_a_url_that_is_none_is_one_line() -> None:
    assert ran("send", "--url", "localhost:8000", "hello") == (
        2,
        "",
        'statecast: expected the URL of a server, as in "http://127.0.0.1:8000", got "localhost:8000"\n',
    )


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"statecast {version('statecast')}\n"


def test_ctrl_c_ends_send_without_a_word(url: str) -> None:
    with running("send", "--url", url, "--thread", "c1", "--command", '{"type":"say"}') as process:
        assert out(process).read(4) == "held"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (130, "")
    assert httpx.get(f"{url}/status/c1").json()["isRunning"]


def test_send_goes_on_when_the_server_was_killed_and_is_back(tmp_path: Path) -> None:
    say = ["--thread", "k1", "--command", '{"type":"say"}']
    with served(tmp_path) as (url, server), running("send", "--url", url, *say) as process:
        assert out(process).read(4) == "held"
        server.kill()
        server.wait(PATIENCE)
        with served(tmp_path, port=int(url.rpartition(":")[2])):
            answer, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, answer) == (1, "\n")
    lines = said.splitlines()
    assert "trying again" in lines[0]
    assert "statecast: connected" in lines
    assert lines[-2:] == ["statecast: The server stopped before the run had ended.", "interrupted, thread k1"]


def test_on_a_terminal_an_answer_cannot_steer_it(url: str) -> None:
    with Terminal("send", "--url", url, "--thread", "p1", "a\x1b[2Jb\x9bc\u202ed") as terminal:
        assert terminal.end() == 0
    lines = terminal.written.decode().splitlines()
    assert lines[0] == 'You said "a\\u001b[2Jb\\u009bc\\u202ed".'
    assert plain(lines[1]) == "completed, thread p1"


def test_on_a_terminal_no_text_is_markup(url: str) -> None:
    with Terminal("send", "--url", url, "--thread", "p2", "[red]a[/red] :smile: [/]") as terminal:
        assert terminal.end() == 0
    assert terminal.written.decode().splitlines()[0] == 'You said "[red]a[/red] :smile: [/]".'


def test_a_refusal_is_neither_markup_nor_cut_where_a_terminal_is_narrow(url: str) -> None:
    with Terminal("send", "--url", url, "--agent", "[red]\x1b[2J nobody", "hello", width=10) as terminal:
        assert terminal.end() == 2
    assert "[red]\\u001b[2J nobody" in terminal.written.decode()
    assert terminal.written.count(b"\n") == 1


@pytest.mark.parametrize("missing", ["rich", "httpx"])
def test_what_is_missing_is_one_line(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; from statecast.cli import main; sys.exit(main(['send', 'a']))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("statecast: ")
    assert process.stderr.endswith(f" {missing}: pip install 'statecast[client]'\n")


def test_only_the_console_needs_rich() -> None:
    code = (
        "import sys; sys.modules['rich'] = None; import statecast, statecast.client, statecast.cli, statecast.testing"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE).returncode == 0


# watch


@pytest.mark.parametrize("wish", ["FORCE_COLOR", "NO_COLOR"])
def test_a_pipe_gets_no_colors_whatever_is_wished(url: str, wish: str) -> None:
    post(url, wish, {"type": "note", "text": "a"})
    status, answer, said = ran("watch", wish, "--once", "--url", url, **{wish: "1"})
    assert (status, said, json.loads(answer)["state"]["notes"]) == (0, "", ["a"])


def test_a_dumb_terminal_gets_lines(url: str) -> None:
    post(url, "w8", {"type": "note", "text": "a"})
    with Terminal("watch", "w8", "--url", url, TERM="dumb") as terminal:
        terminal.until(lambda: b"\n" in terminal.written)
    assert json.loads(terminal.written)["threadId"] == "w8"


def test_into_a_pipe_each_change_is_a_line(url: str) -> None:
    post(url, "w1", {"type": "note", "text": "a"})
    with running("watch", "w1", "--url", url) as process:
        first = json.loads(out(process).readline())
        post(url, "w1", {"type": "note", "text": "b"})
        lines = [json.loads(out(process).readline()) for _ in range(3)]
    assert first.keys() == {"threadId", "cursor", "revision", "state", "run", "operations", "parts", "chunks"}
    assert (first["threadId"], first["state"]["notes"]) == ("w1", ["a"])
    assert [line["run"]["status"] for line in lines] == ["running", "running", "completed"]
    assert lines[1]["operations"] == [{"type": "set", "path": ["notes", "1"], "value": "b"}]
    assert lines[2]["state"]["notes"] == ["a", "b"]


def test_once_shows_it_once(url: str) -> None:
    post(url, "w2", {"type": "note", "text": "a"})
    status, answer, said = ran("watch", "w2", "--once", "--url", url)
    assert (status, said) == (0, "")
    assert json.loads(answer)["state"]["notes"] == ["a"]
    with Terminal("watch", "w2", "--once", "--url", url) as terminal:
        assert terminal.end() == 0
    assert json.loads(plain(terminal.written.decode()))["notes"] == ["a"]


def test_lines_can_be_had_on_a_terminal(url: str) -> None:
    post(url, "w3", {"type": "note", "text": "a"})
    with Terminal("watch", "w3", "--json", "--once", "--url", url) as terminal:
        assert terminal.end() == 0
    assert json.loads(terminal.written)["threadId"] == "w3"


def test_a_thread_that_is_not_there_is_waited_for(url: str) -> None:
    with running("watch", "w4", "--url", url) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "statecast: waiting for the thread\n"
        post(url, "w4", {"type": "note", "text": "a"})
        assert json.loads(out(process).readline())["threadId"] == "w4"


def test_ctrl_c_ends_watch_without_a_word(url: str) -> None:
    post(url, "w5", {"type": "note", "text": "a"})
    with running("watch", "w5", "--url", url) as process:
        out(process).readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 130


def test_watch_ends_when_nobody_reads_it(url: str) -> None:
    post(url, "w6", {"type": "note", "text": "a"})
    with running("watch", "w6", "--url", url) as process:
        out(process).readline()
        out(process).close()
        assert process.wait(PATIENCE) != 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_on_a_terminal_the_state_is_drawn_in_place_with_what_changed(url: str) -> None:
    post(url, "d1", {"type": "note", "text": "first"})
    with Terminal("watch", "d1", "--url", url) as terminal:
        terminal.until(lambda: '    "first"' in terminal.rows)
        assert "d1 completed · revision " in terminal.rows[0]
        assert terminal.rows[1:] == ["{", '  "notes": [', '    "first"', "  ],", '  "text": "hello"', "}"]
        assert terminal.changed == ""
        post(url, "d1", {"type": "note", "text": "second"}, {"type": "grow", "text": " and bye"})
        terminal.until(lambda: '"second"' in terminal.changed and " and bye" in terminal.changed)
        assert "hello" not in terminal.changed
        assert '  "text": "hello and bye"' in terminal.rows
        terminal.until(lambda: terminal.changed == "")  # it fades
        assert terminal.written.startswith(b"\x1b[?1049h")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_drawing_fits_the_window_and_shows_where_something_happens(url: str) -> None:
    post(url, "d2", *({"type": "note", "text": f"{number} 蜂" * 10} for number in range(40)))
    with Terminal("watch", "d2", "--url", url, width=30, height=10) as terminal:
        terminal.until(lambda: "蜂" in terminal.drawing)
        assert len(terminal.rows) == 10
        assert all(len(row) + row.count("蜂") <= 30 for row in terminal.rows)
        assert "{" in terminal.rows
        post(url, "d2", {"type": "note", "text": "last"})
        terminal.until(lambda: '    "last"' in terminal.rows)
        terminal.resize(60, 20)
        terminal.until(lambda: len(terminal.rows) == 20)
        assert '    "last"' in terminal.rows


def test_a_terminal_is_told_that_the_server_is_gone_and_when_it_is_back(tmp_path: Path) -> None:
    with served(tmp_path) as (url, server):
        post(url, "d3", {"type": "note", "text": "a"})
        with Terminal("watch", "d3", "--url", url, width=200) as terminal:
            terminal.until(lambda: '    "a"' in terminal.rows)
            server.kill()
            terminal.until(lambda: "trying again" in terminal.rows[0])
            assert '    "a"' in terminal.rows
            server.wait(PATIENCE)
            with served(tmp_path, port=int(url.rpartition(":")[2])):
                terminal.until(lambda: "trying again" not in terminal.rows[0])
                post(url, "d3", {"type": "note", "text": "b"})
                terminal.until(lambda: '    "b"' in terminal.rows)


def test_on_a_terminal_a_state_cannot_steer_it(url: str) -> None:
    post(
        url, "d4", {"type": "note", "text": "a\x1b[2Jb\x9bc\u202ed"}, {"type": "note", "text": "[red]x[/red] :bee: [/]"}
    )
    with Terminal("watch", "d4", "--url", url) as terminal:
        terminal.until(lambda: "notes" in terminal.drawing)
        assert '    "a\\u001b[2Jb\\u009bc\\u202ed",' in terminal.rows
        assert '    "[red]x[/red] :bee: [/]"' in terminal.rows


def test_without_colors_a_change_is_still_marked(url: str) -> None:
    post(url, "d6", {"type": "note", "text": "first"})
    with Terminal("watch", "d6", "--url", url, NO_COLOR="1") as terminal:
        terminal.until(lambda: '    "first"' in terminal.rows)
        post(url, "d6", {"type": "note", "text": "second"})
        terminal.until(lambda: '"second"' in terminal.changed)
    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", terminal.written.decode()) for code in codes.split(";")}
    assert codes <= {"0", "1", "2", "3", "7"}  # none, bold, dim, italic, reverse


@pytest.mark.parametrize("width", [1, 2, 9])
def test_a_narrow_terminal_is_drawn_in(url: str, width: int) -> None:
    post(url, f"d7-{width}", {"type": "note", "text": "蜂 a bee in a \\"})
    with Terminal("watch", f"d7-{width}", "--url", url, width=width, height=70) as terminal:
        terminal.until(lambda: "}" in terminal.rows)
        assert len(terminal.rows) <= 70
        assert all(len(row) + row.count("蜂") <= width for row in terminal.rows if width > 1)
        post(url, f"d7-{width}", {"type": "grow", "text": " and more"})
        terminal.until(lambda: terminal.changed)


def test_a_terminal_waits_for_a_thread_too(url: str) -> None:
    with Terminal("watch", "d5", "--url", url) as terminal:
        terminal.until(lambda: "waiting for it to be made" in terminal.drawing)
        post(url, "d5", {"type": "note", "text": "a"})
        terminal.until(lambda: '    "a"' in terminal.rows)
        assert "waiting" not in terminal.drawing
        terminal.process.terminate()
        terminal.end()
    assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")
