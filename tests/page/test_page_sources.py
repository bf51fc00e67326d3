"""The sources of the page pass their own checks, and the built page in the repository is what they make."""

from __future__ import annotations

from pathlib import Path

from .sources import BUILT, PAGE, npm

ADVICE = "run `make page` and commit what it builds"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_types_of_the_page_are_sound(page_sources: Path) -> None:
    npm("run", "check", cwd=page_sources)


def test_the_sources_make_the_page_that_is_shipped(page_sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "built"
    npm("run", "build", "--", "--outDir", str(out), cwd=page_sources)
    made, shipped = files_in(out), files_in(BUILT)
    assert sorted(made) == sorted(shipped), ADVICE
    assert [name for name in made if made[name] != shipped[name]] == [], ADVICE


def test_the_shipped_page_asks_for_nothing_from_elsewhere() -> None:
    index = (BUILT / "index.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in index
    assert [start for start in ("http:", "https:", "/") if f'="{start}' in index] == []


def test_the_lockfile_names_no_host() -> None:
    assert '"resolved"' not in (PAGE / "package-lock.json").read_text(encoding="utf-8")
