"""The types of `client.js` are those of the module."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.clients.client_module import MODULE
from tests.clients.node import need_node

TYPES = MODULE.with_suffix(".d.ts")
PATIENCE = 60  # seconds

SHOW = f"""
import * as client from {json.dumps(MODULE.as_uri())};
const thread = client.connect("http://127.0.0.1:1", "t");
const refused = new client.Refused({{ code: "c", message: "m" }}, 422);
console.log(JSON.stringify({{
  module: Object.keys(client),
  thread: Object.keys(thread),
  snapshot: Object.keys(thread.getSnapshot()),
  refused: Object.keys(refused).filter((name) => name !== "name"),
}}));
"""


def declared(name: str) -> list[str]:
    """Return the fields that a type has."""
    body = re.search(
        rf"^export (?:type|class) {name}\b.*?{{\n(.*?)^}}", TYPES.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert body is not None
    return sorted(re.findall(r"^  readonly (\w+)\??:", body[1], re.MULTILINE))


def test_what_is_declared_is_what_is_there() -> None:
    node = need_node()
    answer = subprocess.run(
        [node, "--input-type=module", "--eval", SHOW], capture_output=True, text=True, timeout=PATIENCE
    )
    assert answer.returncode == 0, answer.stderr
    found = {name: sorted(fields) for name, fields in json.loads(answer.stdout).items()}
    values = re.findall(r"^export (?:function|class) (\w+)", TYPES.read_text("utf-8"), re.MULTILINE)

    assert found == {
        "module": sorted(values),
        "thread": declared("Thread"),
        "snapshot": declared("Snapshot"),
        "refused": declared("Refused"),
    }


def test_every_option_is_read() -> None:
    source = MODULE.read_text("utf-8")
    read = re.findall(r"const {([^}]*)} = options;", source)
    names = re.findall(r"(\w+)(?: = [^,]+)?(?:,|$)", ", ".join(each.strip() for each in read))

    assert sorted(names) == declared("Options")


def test_the_usage_uses_every_public_name() -> None:
    usage = (Path(__file__).parent / "client_usage.ts").read_text("utf-8")
    types = TYPES.read_text("utf-8")
    names = set(re.findall(r"^export (?:type|class|function) (\w+)", types, re.MULTILINE))
    fields = {name for kind in ("Thread", "Snapshot", "Refused", "Options", "Accepted") for name in declared(kind)}

    assert len(names) > 10
    assert [name for name in sorted(names | fields) if re.search(rf"\b{name}\b", usage) is None] == []
