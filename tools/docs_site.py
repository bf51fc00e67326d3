"""What the site has beyond docs/: the home page, the API reference, linked code, and Markdown for language models.

MkDocs calls the functions whose names begin with `on_`. Pages are files that read well in the repository: README.md
becomes the home page, and a link that leads out of docs/ leads to a page that shows what is there.
"""

from __future__ import annotations

import ast
import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
#: Pages at the top of the repository, and where the site has them.
TOP: Final = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "SECURITY.md": "SECURITY.md"}
#: Modules of the API reference, each a page: the names in their `__all__`.
MODULES: Final = (
    "statecast",
    "statecast.state",
    "statecast.parts",
    "statecast.errors",
    "statecast.frameworks",
    "statecast.wires",
    "statecast.client",
    "statecast.stores",
    "statecast.files",
    "statecast.testing",
)
#: Endings of files that a page with code shows, and how they are highlighted.
CODE: Final = {
    ".conf": "nginx",
    ".html": "html",
    ".js": "js",
    ".json": "json",
    ".py": "python",
    ".toml": "toml",
    ".ts": "ts",
    ".tsx": "tsx",
    ".yaml": "yaml",
}
LARGEST: Final = 40_000  # bytes of a file that is shown

_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

_written: dict[str, str] = {}  # the Markdown of each page, by its path
_nav: list[Any] = []


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    texts = {page.src_uri: page.content_string for page in files.documentation_pages()}
    made = {name: (ROOT / source).read_text(encoding="utf-8") for source, name in TOP.items()}
    linked = {target for path, text in (texts | made).items() for target in _outside(path, text)}
    made |= {_source_page(target): _listing(target) for target in linked}
    made |= {f"reference/{module}.md": _reference(module) for module in MODULES}
    for name, text in sorted(made.items()):
        files.append(File.generated(config, name, content=text))
    return files


def on_nav(nav: Navigation, *, config: MkDocsConfig, files: Files) -> Navigation:
    """Remember the order of pages, which llms.txt follows."""
    _nav[:] = nav.items
    return nav


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the site has their targets."""
    path = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target = _target(path, link[1])
        there = TOP.get(target) or target.removeprefix("docs/")
        if there == target and target not in TOP:
            there = _source_page(target)
        return f"]({posixpath.relpath(there, posixpath.dirname(path) or '.')}{link[2] or ''})"

    text = (
        markdown if path.startswith("source/") else _outside_of_blocks(markdown, lambda prose: _LINK.sub(moved, prose))
    )
    _written[path] = text
    return text


def on_post_build(*, config: MkDocsConfig) -> None:
    """Write the Markdown of each page beside its HTML, and llms.txt."""
    site = Path(config.site_dir)
    for path, text in _written.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", "", *_index(_nav)]
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _target(path: str, link: str) -> str:
    """Return where a link of a page leads, from the top of the repository."""
    folder = "" if path in TOP.values() else posixpath.join("docs", posixpath.dirname(path))
    return posixpath.normpath(posixpath.join(folder, link))


def _outside(path: str, text: str) -> Iterator[str]:
    """Yield the targets of links that lead to code, or to what else the site has no page of."""
    for link in _LINK.finditer(_FENCE.sub("", text)):
        target = _target(path, link[1])
        if not target.startswith("docs/") and target not in TOP and (ROOT / target).exists():
            yield target


def _source_page(target: str) -> str:
    return f"source/{target}.md"


def _listing(target: str) -> str:
    """Return a page with the code of a file, or of the files in a folder."""
    listed = subprocess.run(["git", "ls-files", "--", target], cwd=ROOT, capture_output=True, text=True, check=True)
    blocks = [f"# {target}"]
    for name in listed.stdout.split():
        file = ROOT / name
        if file.stat().st_size > LARGEST or file.name == "package-lock.json":
            continue
        if (language := CODE.get(file.suffix)) is not None:
            blocks.append(f"## {name}\n\n````{language}\n{file.read_text(encoding='utf-8')}````")
        elif file.suffix == "":
            blocks.append(f"````text\n{file.read_text(encoding='utf-8')}````")
    return "\n\n".join(blocks) + "\n"


def _reference(module: str) -> str:
    """Return the page of a module: each public name, with its signature and its docstring."""
    path = ROOT / "transport" / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return f"# {module}\n\n" + "\n\n".join(f"::: {module}.{name}" for name in sorted(names)) + "\n"


def _outside_of_blocks(text: str, change: Callable[[str], str]) -> str:
    """Change the prose of a page, and leave its code."""
    changed, end = "", 0
    for block in _FENCE.finditer(text):
        changed += change(text[end : block.start()]) + block[0]
        end = block.end()
    return changed + change(text[end:])


def _index(items: list[Any]) -> Iterator[str]:
    """Yield the lines of llms.txt: each section, and its pages."""
    for item in items:
        if isinstance(item, Section):
            yield from ("", f"## {item.title}", "")
            yield from _index(item.children)
        elif isinstance(item, Page):
            yield f"- [{item.title}]({item.file.src_uri})"
