"""The pages on attachments say what the code says, and the TypeScript of their guide attaches files."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from statecast import files
from statecast.files import Uploads
from tests.clients.attachments import attach
from tests.clients.serving import served
from tests.docs.pages import API, SETTINGS, code
from tests.docs.test_chat_snippets import module_of
from tests.docs.test_client_snippets import snippets
from tests.docs.test_page import packages

__all__ = ["module_of", "packages"]


def test_the_table_of_uploads_has_every_field_with_its_default() -> None:
    documented = {code(name)[0]: default for name, default, _ in SETTINGS.rows("Attachments")}
    defaults = {field.name: field.default for field in msgspec.structs.fields(Uploads)}

    assert documented.keys() == defaults.keys()
    for name in ("limit", "expires", "seconds"):
        assert float(documented[name]) == defaults[name]
    assert code(documented["types"]) == ["TYPES"]
    assert defaults["types"] == files.TYPES


def test_the_api_page_lists_the_names_for_attachments() -> None:
    names = set(code(API.section("Attachments")))

    assert names - {"statecast.files", "types", "read"} <= set(files.__all__)


@pytest.fixture
def guides_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield the app of the guide, whose files are in `uploads` beside it."""
    (tmp_path / "attaching_agent.py").write_text(snippets("attachments.md")["my_agent.py"], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("attaching_agent").app
    sys.modules.pop("attaching_agent", None)


def test_the_adapter_of_the_guide_attaches_what_the_agent_reads(
    module_of: Any, guides_app: Any, tmp_path: Path
) -> None:
    module = module_of("attachments.md", "src/attachments.ts")
    with served(guides_app) as url:
        picture, notes, taken_back, program = attach(
            url,
            {"name": "bees.png", "type": "image/png", "text": "not really"},
            {"name": "notes.md", "type": "", "text": "# Bees"},
            {"name": "wrong.txt", "type": "text/plain", "text": "never mind"},
            {"name": "bees.exe", "type": "application/x-msdownload", "text": "MZ"},
            module=module,
        )
        parts = [part for told in (picture, notes) for part in told["attachment"]["content"]]
        message = {"role": "user", "parts": parts}
        httpx.post(
            f"{url}/assistant", json={"commands": [{"type": "add-message", "message": message}], "threadId": "t"}
        )
        state = httpx.get(f"{url}/threads/t/state").json()["state"]

    assert [part["type"] for part in parts] == ["image", "text"]
    assert state["messages"][0]["parts"] == parts
    assert state["messages"][1]["parts"][0]["text"] == "bees.png has 10 bytes. notes.md has 6 bytes. "
    assert len(list((tmp_path / "uploads").iterdir())) == 3
    assert taken_back["statuses"][-1]["type"] == "requires-action"
    assert "expected the bytes of a file" in program["statuses"][-1]["message"]
