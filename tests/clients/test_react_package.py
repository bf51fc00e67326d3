"""`@statecast/react`: its sources make what the server serves and the package has, and its types refuse mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from statecast.http.endpoints.client_module import BROWSER
from tests.clients.installed import DRIVERS
from tests.clients.node import need_node
from tests.page.installed import page_packages
from tests.page.sources import ROOT, npm

PACKAGE = ROOT / "packages" / "react"
USAGE = Path(__file__).parent / "react_usage.tsx"
ADVICE = "run `make react` and commit what it builds"
MODULES = ["adapters", "client", "react"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package and the modules that it is made with, with the packages of pages, which are the same."""
    packages = page_packages()
    root = tmp_path_factory.mktemp("react")
    folder = root / "packages" / "react"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copytree(BROWSER, root / "transport" / "statecast" / "browser")
    (folder / "node_modules").symlink_to(packages)
    return folder


def test_the_sources_make_what_is_served(sources: Path) -> None:
    built = sources.parents[1] / "transport" / "statecast" / "browser" / "react.js"
    built.unlink()
    npm("run", "build", cwd=sources)
    assert built.read_text("utf-8") == (BROWSER / "react.js").read_text("utf-8"), ADVICE


def test_the_package_has_what_is_served(sources: Path, tmp_path: Path) -> None:
    npm("pack", "--pack-destination", str(tmp_path), cwd=sources)
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as package:
        names = sorted(package.getnames())
        package.extractall(tmp_path, filter="data")

    files = [f"package/dist/{module}.{kind}" for module in MODULES for kind in ("d.ts", "js")]
    assert names == sorted(["package/README.md", "package/package.json", *files])
    for file in files:
        assert (tmp_path / file).read_bytes() == (BROWSER / Path(file).name).read_bytes()


def test_its_version_is_that_of_the_server_and_it_depends_on_peers_only() -> None:
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert package["version"] == version("statecast")
    assert "dependencies" not in package
    assert sorted(package["peerDependencies"]) == ["@assistant-ui/react", "react"]
    assert '"resolved"' not in (PACKAGE / "package-lock.json").read_text("utf-8")


def test_uses_that_are_right_pass_and_others_do_not(tmp_path: Path) -> None:
    packages = page_packages()
    shutil.copy(USAGE, tmp_path)
    installed = tmp_path / "node_modules"
    (installed / "@statecast" / "react" / "dist").mkdir(parents=True)
    shutil.copy(PACKAGE / "package.json", installed / "@statecast" / "react")
    for module in MODULES:
        shutil.copy(BROWSER / f"{module}.d.ts", installed / "@statecast" / "react" / "dist")
    for package in packages.iterdir():
        if package.name != ".bin":
            (installed / package.name).symlink_to(package)
    config = json.loads((PACKAGE / "tsconfig.json").read_text("utf-8"))["compilerOptions"]
    del config["paths"]
    config |= {"jsx": "react-jsx", "skipLibCheck": False}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": config, "include": ["*.tsx"]}), "utf-8")
    tsc = [need_node(), str(packages / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    # What other packages declare is theirs.
    ours = [line for line in answer.stdout.splitlines() if "@statecast" in line or line.startswith("react_usage")]
    assert ours == []


def test_a_server_renders_it_without_asking_for_anything() -> None:
    command = [need_node(), "react_server.mjs", (BROWSER / "react.js").as_uri()]
    answer = subprocess.run(command, cwd=DRIVERS, capture_output=True, text=True, timeout=120)

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    told = json.loads(answer.stdout)
    assert told["requests"] == []
    assert [page.count("[null,&quot;&quot;,&quot;idle&quot;]") for page in told["pages"]] == [1, 1, 1]
