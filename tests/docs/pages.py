"""The documentation as data: pages, their headings, their links, and their fenced blocks.

A block is a file when the line before it is a path in backticks and nothing else; a block in the language `output` is
what the block before it prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:\A|\n)`([\w./\[\]-]+)`\n+\Z")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    line: int  #: of its first line in the page, from 1
    file: str | None  #: the file it is, if it is one
    output: str | None  #: what it prints, if the page says so


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """The path from the top of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        """The fenced blocks, in order; those in `output` are with the block before them."""
        found: list[Block] = []
        end = 0
        for match in _FENCE.finditer(self.text):
            language, text = match.groups()
            between = self.text[end : match.start()]
            if language == "output":
                assert not between.strip(), f"{self.name}: expected an output right behind its block"
                found[-1] = Block(found[-1].language, found[-1].text, found[-1].line, found[-1].file, text)
            else:
                file = _FILE.search(between)
                line = self.text.count("\n", 0, match.start()) + 2
                found.append(Block(language, text, line, file and file[1], None))
            end = match.end()
        return found

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)

    @property
    def headings(self) -> list[str]:
        """The headings, without their marks."""
        return _HEADING.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading of this page may say behind its `#`."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in self.headings}

    @property
    def links(self) -> list[str]:
        """Where the links lead."""
        return _LINK.findall(self.prose)

    def section(self, heading: str) -> str:
        """Return the text below a heading, down to the next one of its level or above."""
        match = re.search(rf"^(#+) {re.escape(heading)}$", self.text, re.MULTILINE)
        assert match is not None, f'{self.name} has no section "{heading}"'
        rest = self.text[match.end() :]
        end = re.search(rf"^#{{1,{len(match[1])}}} ", _FENCE.sub(lambda block: "." * len(block[0]), rest), re.MULTILINE)
        return rest[: end.start()] if end else rest

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the first table of a section, without its head."""
        lines = self.section(heading).splitlines()
        first = next(index for index, line in enumerate(lines) if line.startswith("|"))
        table = []
        for line in lines[first + 2 :]:
            if not line.startswith("|"):
                break
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        return table


@dataclass(frozen=True)
class Pages:
    """Pages that are one text together. No two of them have a heading in common."""

    pages: list[Page]

    @property
    def prose(self) -> str:
        """The text of all pages without its blocks."""
        return "\n".join(page.prose for page in self.pages)

    @property
    def headings(self) -> list[str]:
        """The headings of all pages."""
        return [heading for page in self.pages for heading in page.headings]

    def section(self, heading: str) -> str:
        """Return the text below a heading, as its page has it."""
        return self._with(heading).section(heading)

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the first table of a section, without its head."""
        return self._with(heading).rows(heading)

    def _with(self, heading: str) -> Page:
        (page,) = (page for page in self.pages if heading in page.headings)
        return page


def load(path: Path) -> Page:
    """Read a page."""
    return Page(path, path.read_text(encoding="utf-8"))


AT_THE_TOP = ("README.md", "CHANGELOG.md", "SECURITY.md")
PAGES = [load(path) for path in (*(ROOT / name for name in AT_THE_TOP), *sorted((ROOT / "docs").rglob("*.md")))]
PROTOCOL = Pages([load(path) for path in sorted((ROOT / "docs" / "protocol").glob("*.md"))])
SETTINGS = load(ROOT / "docs" / "settings.md")
API = load(ROOT / "docs" / "api.md")


def code(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)
