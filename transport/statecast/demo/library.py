"""The demo's reading: documents split into passages, and the passages that best match some words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Passage", "best", "documents", "passages", "words"]

_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_-]+")
_DEFINED: Final = re.compile(r"\*\*(.+?)\*\*")  #: what a passage defines is in bold
_COMMON: Final = frozenset(
    """a about an and are as at be by can do does for from has have how i in is it its of on or so that the there this
    to was what when where which who why will with you your""".split()  # noqa: SIM905  # a list would fill the page
)
_HERE: Final = Path(__file__).parent


class Passage(msgspec.Struct, frozen=True):
    """A paragraph of a document."""

    document: str
    text: str


def documents() -> dict[str, str]:
    """Return the project's own documents by name: those shipped with the package, or those of the checkout."""
    shipped = sorted((_HERE / "documents").glob("*.md"))
    root = _HERE.parents[2]
    found = shipped or [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {path.name: path.read_text(encoding="utf-8") for path in found if path.is_file()}


def passages(name: str, text: str) -> list[Passage]:
    """Split a document into paragraphs, without code, headings and tables, and without the dashes of lists."""
    prose = re.sub(r"```.*?(```|\Z)", "", text, flags=re.DOTALL)
    prose = re.sub(r"^ *[-*] ", "", prose, flags=re.MULTILINE)
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", prose))
    return [Passage(name, block) for block in blocks if len(block) > 40 and block[0] not in "#|<"]


def words(text: str) -> list[str]:
    """Return the words of a text, without the most common ones."""
    return [word for word in _WORD.findall(text.lower()) if word not in _COMMON]


def best(question: str, among: Iterable[Passage], *, count: int = 2) -> list[Passage]:
    """Return the passages that share the rarest words with a question, best first.

    A word that the passage defines counts twice, and so does all of a passage with two words of the question in a row.
    """
    everything = [(passage, words(passage.text)) for passage in among]
    seen = Counter(word for _, said in everything for word in set(said))
    asked = words(question)
    rarity = {word: math.log(1 + len(everything) / seen[word]) for word in asked if word in seen}
    pairs = set(pairwise(asked))

    def score(passage: Passage, said: list[str]) -> float:
        defined = set(words(" ".join(_DEFINED.findall(passage.text))))
        rare = sum(rarity[word] * (2 if word in defined else 1) for word in rarity.keys() & set(said))
        return rare * (1 if pairs.isdisjoint(pairwise(said)) else 2) / math.sqrt(1 + len(said) / 40)

    ranked = sorted(((score(passage, said), passage) for passage, said in everything), key=lambda pair: -pair[0])
    return [passage for points, passage in ranked[:count] if points > 0]
