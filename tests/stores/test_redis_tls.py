"""Redis through TLS, and the Sentinels that name it. Debian's Redis has TLS, Valkey's has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from statecast.stores import Appended, Claimed, Created, Key, SharedChange, StoreUnavailable
from statecast.stores.redis import RedisStore
from tests.engines import valkey
from tests.engines.certificate import certificate_in

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KEY = Key(None, "t")


async def test_servers_and_sentinels_are_asked_through_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = valkey.need_redis()
    certificate, private = certificate_in(tmp_path)
    tls = {
        "tls-cert-file": str(certificate),
        "tls-key-file": str(private),
        "tls-ca-cert-file": str(certificate),
        "tls-auth-clients": "no",
        "tls-replication": "yes",
    }
    at, watched_at = valkey.free_port(), valkey.free_port()
    options = [part for name, value in {**tls, "tls-port": str(at)}.items() for part in (f"--{name}", value)]
    with valkey.running(*options, program=program):
        sentinel = valkey.Sentinel(at, program=program, settings={**tls, "tls-port": str(watched_at)})
        try:
            url = f"rediss+sentinel://127.0.0.1:{watched_at}/service"
            untrusted = RedisStore(url)
            with pytest.raises(StoreUnavailable):
                await untrusted.open()
            await untrusted.aclose()

            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            store = RedisStore(url)
            await store.open()
            claimed = await store.claim(KEY, "a", 60.0)
            assert isinstance(claimed, Claimed)
            changes: list[SharedChange] = [
                Created(KEY, "agent", "epoch", True, b"{}"),
                Appended(KEY, 1, "operations", b"[]"),
            ]
            assert await store.write(changes, {KEY: claimed.token}) == {}
            saved = await store.load(KEY)
            assert saved is not None
            assert [revision for revision, _, _ in saved.entries] == [1]
            await store.aclose()
        finally:
            sentinel.remove()
