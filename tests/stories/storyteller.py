"""Tell stories, chapter by chapter, and say how to repeat the one that harmed somebody."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.stories.story import CHAPTER, Chapter

__all__ = ["tell"]


async def tell(seed: int, first: int, stories: int, *, say: Callable[[str], None] = lambda text: None) -> None:
    """Tell stories; every third chapter is told of a server that keeps its threads in memory.

    Raises:
        AssertionError: Somebody was harmed. Its notes say what happened, what the server said, and what repeats it.
    """
    for start in range(first, first + stories, CHAPTER):
        numbers = range(start, min(start + CHAPTER, first + stories))
        with tempfile.TemporaryDirectory(prefix="stories-") as folder:
            chapter = Chapter(Path(folder), "memory" if (start // CHAPTER) % 3 == 1 else "sqlite", seed)
            try:
                await chapter.tell(numbers)
            except BaseException as failure:
                for text in chapter.told:
                    failure.add_note(text)
                failure.add_note(f"the server said: {chapter.served.errors[-6_000:].decode(errors='replace')}")
                repeat = f"--seed {seed} --from {start} --stories {len(numbers)}"
                failure.add_note(f"repeat with python -m tests.stories {repeat}")
                raise
            for text in chapter.told:
                say(text)
