"""The npm package `@statecast/react`: `statecast/browser/` as the tarball that npm installs.

The same files make the same bytes, whenever and in whichever process: npm writes the tarball's hash into lockfiles.
"""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from pathlib import Path
from typing import Final

__all__ = ["BROWSER", "react_package"]

BROWSER: Final = Path(__file__).parents[1] / "browser"  #: where the files are

MODIFIED: Final = 499162500  #: seconds, of every file: what `npm pack` writes, 1985-10-26 08:15 UTC


@functools.cache
def react_package() -> bytes:
    """Return the package as a gzipped tar archive, with every file below `package/`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(BROWSER.iterdir()):
            entry = tarfile.TarInfo(f"package/{file.name}")
            content = file.read_bytes()
            entry.size, entry.mtime = len(content), MODIFIED
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)
