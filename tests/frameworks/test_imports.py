"""Frameworks are imported when they are used, and not before."""

from __future__ import annotations

import subprocess
import sys

FRAMEWORKS = [
    "agents",
    "anthropic",
    "google.adk",
    "langchain",
    "langchain_core",
    "langgraph",
    "litellm",
    "mcp",
    "openai",
    "pydantic",
    "pydantic_ai",
    "smolagents",
]


def test_the_adapters_are_imported_without_their_frameworks() -> None:
    code = f"import sys, statecast.frameworks; print(*[name for name in {FRAMEWORKS} if name in sys.modules])"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert imported.stdout.split() == []
