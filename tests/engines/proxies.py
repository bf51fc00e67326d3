"""Starts nginx and Caddy, from Debian's packages, with a given configuration, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.clients.installed import missing

__all__ = ["caddy", "nginx"]

PATIENCE = 60  # seconds to start, and to stop

#: What a distribution's nginx.conf has around the file of a site, with its compression as eager as it can be.
_NGINX = """
{user}
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    gzip on;
    gzip_proxied any;
    gzip_min_length 1;
    gzip_types *;
    include site.conf;
}}
"""

#: The global options: nothing outside the folder, and no port beside the site's.
_CADDY = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"


def _need(name: str, package: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        missing(f"needs {name}: install it (Debian: apt install {package})")
    return path


@contextmanager
def nginx(site: str, folder: Path, address: str) -> Iterator[str]:
    """Serve a site with nginx, and yield its address as soon as it answers.

    Args:
        site: The text of a file in `conf.d`.
        folder: Where its files are.
        address: Where the site listens, like `https://localhost:8443`.
    """
    program = _need("nginx", "nginx")
    user = "user root;" if os.geteuid() == 0 else ""  # its workers have to enter the folder
    (folder / "nginx.conf").write_text(_NGINX.format(user=user))
    (folder / "site.conf").write_text(site)
    with _running([program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], folder, address):
        yield address


@contextmanager
def caddy(site: str, folder: Path, address: str) -> Iterator[str]:
    """Serve a site with Caddy; as `nginx`, with the text of a Caddyfile."""
    program = _need("caddy", "caddy")
    (folder / "Caddyfile").write_text(_CADDY + site)
    with _running([program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"], folder, address):
        yield address


@contextmanager
def _running(command: list[str], folder: Path, address: str) -> Iterator[None]:
    log = folder / "log"
    places = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **places}
        )
    try:
        _wait(process, log, address)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path, address: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(address, verify=False, timeout=PATIENCE)
        except httpx.TransportError:
            waiting = process.poll() is None and time.monotonic() < end
            assert waiting, f"{process.args!r} did not start: {log.read_text()}"
            time.sleep(0.02)
        else:
            return
