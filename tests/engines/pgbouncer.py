"""Starts PgBouncer, of Debian's package, in front of a PostgreSQL server, in transaction mode."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.clients.installed import missing

from . import postgres

__all__ = ["PgBouncer", "fresh_url", "need_pgbouncer", "pooler"]

_SETTINGS = """
[databases]
postgres = host=127.0.0.1 port={server} dbname=postgres user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
"""


def need_pgbouncer() -> str:
    """Return the path of PgBouncer, or skip the test saying how to get it."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/bin:/usr/bin")
    if found is None:
        missing("needs PgBouncer: install it (Debian: apt install pgbouncer)")
    return found


class PgBouncer:
    """A pooler.

    Args:
        server: The server behind it.
    """

    def __init__(self, server: postgres.Postgres) -> None:
        program = need_pgbouncer()
        self.port = postgres.free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="statecast-pgbouncer-"))
        settings = self._folder / "settings.ini"
        settings.write_text(_SETTINGS.format(server=server.port, port=self.port))
        settings.chmod(0o644)
        self._folder.chmod(0o755)
        self._process = subprocess.Popen(
            [program, "-q", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=postgres.end_with_parent,
            **postgres.unprivileged(self._folder),
        )
        until = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PgBouncer does not start: {self._process.returncode}")
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """Return the address of the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def remove(self) -> None:
        """End the pooler."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@functools.cache
def pooler() -> PgBouncer:
    """Return the pooler of this process, in front of its server."""
    started = PgBouncer(postgres.server())
    atexit.register(started.remove)
    return started


def fresh_url() -> str:
    """Return the address, through the pooler, of a schema that nobody has used; hints go past it."""
    need_pgbouncer()
    direct = postgres.server().url.replace(":", "%3A").replace("/", "%2F")
    return postgres.fresh_url().replace(postgres.server().url, pooler().url) + f"&wake={direct}"
