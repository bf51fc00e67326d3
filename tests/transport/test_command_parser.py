"""The settings of the command line in the environment: the line counts more than it, and it more than the default."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import pytest

from statecast import cli
from statecast.cli.arguments import port
from statecast.cli.commands import parser
from statecast.cli.parser import CommandParser, variable_of


def read(*line: str, **options: Any) -> argparse.Namespace:
    command = CommandParser(prog="serve", environment=True, **options)
    command.add_argument("--port", type=port, default=8000)
    command.add_argument("--debug", action="store_true")
    command.add_argument("--reload", action=argparse.BooleanOptionalAction, default=False)
    command.add_argument("--mode", choices=["a", "b"], default="a")
    command.add_argument("--cors-origin", action="append", default=[])
    return command.parse_args(line)


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "9000", "DEBUG": "true", "RELOAD": "1", "MODE": "b", "CORS_ORIGIN": "x, y"}.items():
        monkeypatch.setenv(f"STATECAST_{name}", value)

    assert vars(read()) == {"port": 9000, "debug": True, "reload": True, "mode": "b", "cors_origin": ["x", "y"]}
    given = read("--port", "8000", "--no-reload", "--mode=a", "--cors-origin=z")
    assert vars(given) == {"port": 8000, "debug": True, "reload": False, "mode": "a", "cors_origin": ["z"]}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PORT", "70000", "STATECAST_PORT: expected a port from 0 to 65535"),
        ("PORT", "x", "STATECAST_PORT: "),
        ("DEBUG", "perhaps", "STATECAST_DEBUG: expected one of 1, true"),
        ("MODE", "c", 'STATECAST_MODE: expected one of a, b, got "c"'),
    ],
)
def test_a_bad_variable_is_answered_with_the_usage(
    name: str, value: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"STATECAST_{name}", value)
    with pytest.raises(SystemExit) as ended:
        read()
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_a_command_shows_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help", examples="\n  statecast serve my_agent.py\n")
    assert capsys.readouterr().out.endswith("examples:\n  statecast serve my_agent.py\n")


def test_every_command_has_examples_and_a_variable_of_its_own_for_each_setting() -> None:
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert isinstance(command, CommandParser)
        assert f"  statecast {name}" in command.format_help(), name
        variables = [variable_of(action) for action in command.settings()]
        assert len(set(variables)) == len(variables)
        assert {"STATECAST_API_KEYS", "STATECAST_METRICS_TOKEN"}.isdisjoint(variables)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "threads" in script
    assert "cors-origin" in script


def test_completions_say_what_they_need(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 2
    assert 'pip install "statecast[completion]"' in capsys.readouterr().err
