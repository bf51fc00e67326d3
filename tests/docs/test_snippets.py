"""Every snippet of the documentation is run, page by page, from top to bottom, as a reader would.

Python blocks share a namespace within a page, and may use `await`; files are written and imported; files of tests are
given to pytest; shell blocks are followed by `terminal.py`; JSON is parsed. TypeScript is for test_page.py.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from statecast.wires import WIRES
from tests.docs.pages import API, PAGES, Block, Page
from tests.docs.terminal import Terminal, same_but_ids

#: Languages whose blocks need nothing done, or have it done in test_page.py or test_run_states.py.
ELSEWHERE = {"text", "html", "css", "ts", "tsx", "vue", "svelte", "mermaid"}

#: Modules of other libraries that pages use, and that no release may have for the newest Python.
FRAMEWORKS = {
    "agent_framework",
    "agents",
    "anthropic",
    "deepagents",
    "django",
    "fastapi",
    "jwt",
    "google.adk",
    "langchain",
    "langchain_core",
    "langgraph.graph",
    "litellm",
    "litestar",
    "mcp",
    "pydantic_ai",
    "quart",
    "smolagents",
}

WITH_SNIPPETS = [page for page in PAGES if page.blocks]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [name for name in sorted(_frameworks(page)) if not _is_installed(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    namespace: dict[str, Any] = {"__name__": "snippet"}
    modules, wires = set(sys.modules), list(WIRES)
    try:
        with Terminal(tmp_path) as terminal:
            for block in page.blocks:
                monkeypatch.chdir(terminal.here)
                monkeypatch.syspath_prepend(terminal.here)
                _run(page, block, terminal, namespace)
    finally:
        WIRES[:] = wires
        for name in set(sys.modules) - modules:
            if _is_within(sys.modules[name], tmp_path):
                del sys.modules[name]


def test_every_language_is_one_that_the_tests_know() -> None:
    languages = {block.language for page in PAGES for block in page.blocks}

    assert languages <= {"python", "sh", "console", "json"} | ELSEWHERE


def test_the_guides_import_public_names_only() -> None:
    public = set(re.findall(r"`(statecast(?:\.\w+)*)`", API.text)) | {"statecast"}
    guides = [page for page in PAGES if page.path.parent.name == "guides"]
    imported = {
        (page.path.name, module)
        for page in guides
        for block in page.blocks
        if block.language == "python"
        for module in re.findall(r"^\s*(?:from|import) (statecast[\w.]*)", block.text, re.MULTILINE)
    }

    assert {module for _, module in imported} > {"statecast", "statecast.wires"}
    assert [one for one in sorted(imported) if one[1] not in public] == []


def _frameworks(page: Page) -> set[str]:
    text = "\n".join(block.text for block in page.blocks if block.language == "python")
    imported = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", text, re.MULTILINE))
    return {name for name in FRAMEWORKS if any(f"{module}.".startswith(f"{name}.") for module in imported)}


def _is_installed(name: str) -> bool:
    """Return whether there is such a package. A folder without `__init__.py`, such as our `agents/`, is none."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # of the package that it is in
        return False
    return spec is not None and spec.origin is not None


def _run(page: Page, block: Block, terminal: Terminal, namespace: dict[str, Any]) -> None:
    if block.file is not None:
        _write(terminal.here / block.file, block.text)
    printed = ""
    match block.language, block.file:
        case "python", None:
            printed = _execute(page, terminal.reachable(block.text), block.line, namespace)
        case "python", str(file) if file.startswith("test_"):
            _test(file)
        case "python", str(file):
            importlib.invalidate_caches()
            namespace.update(vars(importlib.import_module(Path(file).stem)))
        case "json", _:
            json.loads(block.text)
        case "sh", _:
            printed = terminal.follow(block.text)
        case "console", _:
            terminal.follow("".join(re.findall(r"^\$ (.*\n)", block.text, re.MULTILINE)))
        case language, _:
            assert language in ELSEWHERE
    if block.output is not None:
        assert same_but_ids(printed).strip() == block.output.strip(), f"{page.name}:{block.line}"


def _execute(page: Page, text: str, line: int, namespace: dict[str, Any]) -> str:
    source = "\n" * (line - 1) + text  # so that errors name the page's lines
    code = compile(source, str(page.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(_awaited(code, namespace))
        else:
            exec(code, namespace)
    return printed.getvalue()


async def _awaited(code: Any, namespace: dict[str, Any]) -> None:
    await eval(code, namespace)


def _test(file: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", file]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _is_within(module: Any, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).parents
