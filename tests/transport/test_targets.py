"""Targets of the command line: a file, a module, or a name in one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from statecast import Agent, App
from statecast.targets import agents_in, folder_of, load

ONE = "from statecast import Agent\nmine = Agent('mine')\nsame = mine\n_hidden = Agent('hidden')\n"
TWO = "from statecast import Agent\nfirst, second = Agent('first'), Agent('second')\n"
APP = "from statecast import Agent, create_app\nagent = Agent('mine')\napp = create_app(agent)\n"
APPS = "from statecast import Agent, create_app\none, two = create_app(Agent()), create_app(Agent())\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "modules", sys.modules.copy())

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


def names(target: str) -> list[str]:
    found = load(target)
    assert not isinstance(found, App)
    return [agent.name for agent in agents_in(found)]


@pytest.mark.parametrize("target", ["target_one.py", "./target_one.py", "target_one", "target_one:mine"])
def test_the_agent_of_a_module_is_found(write: Callable[[str, str], None], target: str) -> None:
    write("target_one.py", ONE)

    assert names(target) == ["mine"]


def test_all_agents_of_a_module_are_found(write: Callable[[str, str], None]) -> None:
    write("target_two.py", TWO)

    assert names("target_two.py") == ["first", "second"]
    assert names("target_two.py:second") == ["second"]


def test_the_app_of_a_module_comes_before_its_agents(write: Callable[[str, str], None]) -> None:
    write("target_app.py", APP)

    assert isinstance(load("target_app"), App)
    assert isinstance(load("target_app:agent"), Agent)


def test_a_file_elsewhere_is_found_with_its_packages(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("project/target_package/__init__.py", "")
    write("project/target_package/agents.py", "from .more import mine\n")
    write("project/target_package/more.py", ONE)

    assert names("project/target_package/agents.py") == ["mine"]
    assert folder_of("project/target_package/agents.py:mine") == tmp_path / "project"


def test_what_is_offered_in_place_of_a_mistyped_name_is_a_target(write: Callable[[str, str], None]) -> None:
    write("project/target_app.py", APP)

    with pytest.raises(AttributeError, match=r'\(did you mean "project/target_app.py:agent"\?\)$'):
        load("project/target_app.py:agnt")
    assert isinstance(load("project/target_app.py:agent"), Agent)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("number = 5\n", TypeError, 'expected an Agent or an App in "target_none.py", found none'),
        (APPS, TypeError, 'expected one App in "target_none.py", got 2'),
        ("import no_such_module\n", ImportError, "no_such_module"),
    ],
)
def test_a_module_without_what_can_be_served_is_refused(
    write: Callable[[str, str], None], text: str, kind: type[Exception], message: str
) -> None:
    write("target_none.py", text)

    with pytest.raises(kind, match=message):
        load("target_none.py")
