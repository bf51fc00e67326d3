"""`statecast types` prints types for assistant-ui's hooks: `tsc --strict` accepts right pages and no others."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from statecast import Agent, Command, create_app
from statecast.cli import main
from statecast.typescript import declarations
from tests.clients.node import need_node
from tests.page.installed import page_packages
from tests.page.sources import PAGE

HERE = Path(__file__).parent
PATIENCE = 120  # seconds


class Step(msgspec.Struct):
    title: str
    status: Literal["pending", "done"] = "pending"
    steps: list[Step] = []


class State(msgspec.Struct, rename="camel"):
    messages: list[dict[str, Any]] = []
    topic: str = ""
    plan: list[Step] = []


class SetTopic(Command, frozen=True):
    """Choose what to talk about."""

    topic: str
    start_at: datetime.datetime | None = None


agent = Agent(state=State, commands=[SetTopic, "jump"])
app = create_app([agent, Agent("other", state=State)])


def test_a_right_page_passes_the_strict_check_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    packages = page_packages()
    (tmp_path / "agent.d.ts").write_text(declarations([agent]), "utf-8")
    shutil.copy(HERE / "typed_page.tsx", tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    config = json.loads((PAGE / "tsconfig.json").read_text("utf-8"))
    assert config["compilerOptions"]["strict"]
    (tmp_path / "tsconfig.json").write_text(json.dumps({**config, "include": ["*.ts", "*.tsx"]}), "utf-8")
    tsc = [need_node(), str(packages / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)

    assert answer.stdout == ""


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Plain:
    number: int
    color: Color = Color.RED


class Half(TypedDict, total=False):
    done: bool


class Inner(pydantic.BaseModel):
    name: str = pydantic.Field(alias="fullName", description="first and last")


class Model(pydantic.BaseModel):
    inner: Inner | None = None


class Boxed(msgspec.Struct):
    counts: dict[str, int]
    pair: tuple[int, str]
    some: list[int | str]
    other: Any = None


FORMS = [
    (Plain, ["readonly number: number;", 'readonly color?: "blue" | "red";']),
    (Half, ["readonly done?: boolean;"]),
    (Model, ["readonly inner?: Inner | null;", "/** first and last */", "readonly fullName: string;"]),
    (Boxed, ["readonly counts: { readonly [key: string]: number };", "readonly pair: readonly [number, string];"]),
    (
        Boxed,
        ["readonly some: ReadonlyArray<number | string>;", "readonly other?: unknown;"],
    ),
    (dict[str, int], ['"agent": { readonly [key: string]: number };']),
    (Step, ["readonly steps?: ReadonlyArray<Step>;"]),
]


@pytest.mark.parametrize(("state", "lines"), FORMS, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(FORMS)])
def test_a_field_has_the_type_of_its_json(state: Any, lines: list[str]) -> None:
    text = declarations([Agent(state=state)])
    assert [line for line in lines if line not in text] == []


def test_a_field_with_a_default_is_always_there_if_only_the_server_makes_states() -> None:
    assert "readonly topic?: string;" in declarations([Agent(state=State)])
    assert "readonly topic: string;" in declarations([Agent(state=State, adopt=False)])


def test_an_agent_without_types_leaves_assistant_uis_as_they_are() -> None:
    assert "interface ExternalState" not in declarations([Agent()])


def test_the_commands_of_all_agents_are_those_of_the_page() -> None:
    class Stop(Command, frozen=True):
        now: bool = False

    text = declarations([Agent("one", commands=[SetTopic]), Agent("two", commands=[Stop, SetTopic])])
    assert text.count("export interface SetTopic") == 1
    assert '"set-topic": SetTopic;' in text
    assert '"stop": Stop;' in text


def test_different_types_of_one_name_get_names_of_their_own() -> None:
    one = msgspec.defstruct("State", [("a", int)])
    two = msgspec.defstruct("State", [("b", int)])
    text = declarations([Agent("one", state=one), Agent("two", state=two)])
    assert '"one": State;' in text
    assert '"two": State2;' in text


def test_different_commands_of_one_name_are_refused() -> None:
    class Stop(Command, frozen=True):
        now: bool

    class Halt(Command, frozen=True, tag="stop"):
        later: bool

    with pytest.raises(ValueError, match='expected one command named "stop"'):
        declarations([Agent("one", commands=[Stop]), Agent("two", commands=[Halt])])


@pytest.mark.parametrize("target", ["agent", "app"])
def test_the_command_line_prints_them(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", f"{__name__}:{target}"]) == 0
    printed = capsys.readouterr().out
    assert 'declare module "@assistant-ui/react"' in printed
    assert ('"other": State;' in printed) == (target == "app")


@pytest.mark.parametrize("target", ["nowhere:agent", f"{__name__}:nothing", f"{__name__}:HERE", "agent"])
def test_a_target_that_is_none_is_refused(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", target]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err.startswith("statecast: ")
