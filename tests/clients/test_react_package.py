"""`@statecast/react`: its sources make what the server serves and the package has, and its types refuse mistakes."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from statecast import Agent, create_app
from statecast.http.npm_package import BROWSER, react_package
from tests.clients.installed import DRIVERS
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.docs.pages import load
from tests.page.installed import install_packages, page_packages
from tests.page.sources import ROOT, npm

PACKAGE = ROOT / "packages" / "react"
GUIDE = load(ROOT / "docs" / "guides" / "react.md")
USAGE = Path(__file__).parent / "react_usage.tsx"
ADVICE = "run `make react` and commit what it builds"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package and the modules that it is made with, with the packages of pages, which are the same."""
    packages = page_packages()
    root = tmp_path_factory.mktemp("react")
    folder = root / "packages" / "react"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(BROWSER, root / "transport" / "statecast" / "browser")
    (folder / "node_modules").symlink_to(packages)
    return folder


def test_the_sources_make_what_is_served(sources: Path) -> None:
    built = sources.parents[1] / "transport" / "statecast" / "browser" / "react.js"
    built.unlink()
    npm("run", "build", cwd=sources)
    assert built.read_text("utf-8") == (BROWSER / "react.js").read_text("utf-8"), ADVICE


def test_npm_packs_the_files_that_the_server_packs(tmp_path: Path) -> None:
    need_node()
    npm("pack", str(BROWSER), "--pack-destination", str(tmp_path), cwd=tmp_path)
    (archive,) = tmp_path.glob("*.tgz")

    assert archive.name == f"statecast-react-{version('statecast')}.tgz"
    assert files_of(archive.read_bytes()) == files_of(react_package())


def files_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as package:
        return {name: extracted.read() for name in package.getnames() if (extracted := package.extractfile(name))}


def test_npm_installs_it_from_any_server_and_from_a_file(tmp_path: Path) -> None:
    need_node()
    (tmp_path / "package.json").write_text("{}", "utf-8")
    installed = tmp_path / "node_modules" / "@statecast" / "react"
    without_peers = ["--legacy-peer-deps", "--no-audit", "--no-fund"]
    with served(create_app(Agent())) as url:
        npm("install", f"{url}/react.tgz", *without_peers, cwd=tmp_path)
    assert json.loads((tmp_path / "package.json").read_text("utf-8"))["dependencies"] == {
        "@statecast/react": f"{url}/react.tgz"
    }
    assert {file.name for file in installed.iterdir()} == {file.name for file in BROWSER.iterdir()}

    (tmp_path / "react.tgz").write_bytes(react_package())
    npm("install", "./react.tgz", *without_peers, cwd=tmp_path)
    shutil.rmtree(installed)
    npm("ci", *without_peers, cwd=tmp_path)  # the server is gone
    assert (installed / "react.js").read_bytes() == (BROWSER / "react.js").read_bytes()


def test_its_version_is_that_of_the_server_and_it_depends_on_peers_only() -> None:
    package = json.loads((BROWSER / "package.json").read_text("utf-8"))
    assert package["version"] == version("statecast")
    assert "dependencies" not in package
    assert sorted(package["peerDependencies"]) == ["@assistant-ui/react", "react"]
    assert '"resolved"' not in (PACKAGE / "package-lock.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("module", "resolution"), [("ESNext", "bundler"), ("Node16", "Node16"), ("NodeNext", "NodeNext")]
)
def test_uses_that_are_right_pass_and_others_do_not(tmp_path: Path, module: str, resolution: str) -> None:
    install_packages(tmp_path)
    shutil.copy(USAGE, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}', "utf-8")
    config = json.loads((PACKAGE / "tsconfig.json").read_text("utf-8"))["compilerOptions"]
    del config["paths"]
    config |= {"jsx": "react-jsx", "skipLibCheck": False, "module": module, "moduleResolution": resolution}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": config, "include": ["*.tsx"]}), "utf-8")
    tsc = [need_node(), str(tmp_path / "node_modules" / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    # What other packages declare is theirs.
    ours = [line for line in answer.stdout.splitlines() if "@statecast" in line or line.startswith("react_usage")]
    assert ours == []


def test_its_bundle_has_the_size_that_the_guide_states(tmp_path: Path) -> None:
    install_packages(tmp_path)
    command = [need_node(), str(Path(__file__).parent / "bundle_size.mjs")]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    measured = json.loads(answer.stdout)
    stated = re.search(r"package is ([\d.]+) KB, .*: ([\d.]+) KB for the hook", GUIDE.section("Size"))

    assert stated is not None, measured
    for size, text in zip((measured["whole"], measured["hook"]), stated.groups(), strict=True):
        assert float(text) * 1000 == pytest.approx(size, rel=0.1), f"{GUIDE.name} states {text} KB of {measured}"


def test_a_server_renders_it_without_asking_for_anything() -> None:
    command = [need_node(), "react_server.mjs", (BROWSER / "react.js").as_uri()]
    answer = subprocess.run(command, cwd=DRIVERS, capture_output=True, text=True, timeout=120)

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    told = json.loads(answer.stdout)
    assert told["requests"] == []
    assert [page.count("[null,&quot;&quot;,&quot;idle&quot;]") for page in told["pages"]] == [1, 1, 1]
