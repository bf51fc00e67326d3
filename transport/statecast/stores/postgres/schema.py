"""The schema of the PostgreSQL store, and its migrations.

Old and new processes run side by side while an app is deployed, so each migration is a pair. `pre` only adds: the
first new process runs it, and the old ones go on. `post` removes what only the version before it needs: it runs with
the release after, when no process of that version is left. A process refuses a schema from which something was removed
that it needs.

Every name is qualified with the schema `statecast`, for which the name of another one is put in, see `named`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import psycopg

from statecast.stores.errors import StoreUnavailable

__all__ = ["MIGRATIONS", "Migration", "is_current", "is_name", "migrate", "named"]


class Migration(NamedTuple):
    """What brings the schema from one version to the next."""

    pre: str  #: adds what the next version needs, and what the one before can live with
    post: str = ""  #: removes what only the version before needed


#: The most that the names of threads, and of what is kept with them, can be compared by: as Python compares them.
#: Texts are escaped, see `columns`.
_FIRST: Final = """
CREATE TABLE statecast.about (name text PRIMARY KEY, value text NOT NULL);

-- A row for each thread, and for each key that was claimed: `epoch` is null where there is no thread. Entries do not
-- change it, they only lock it. What a claim changes is in no index, so that renewals stay within their page ("HOT").
CREATE TABLE statecast.thread (
    row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token bigint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL DEFAULT '-infinity',
    version bigint NOT NULL DEFAULT 0,
    mark bigint NOT NULL DEFAULT 0,
    reached bigint NOT NULL DEFAULT 0,
    written double precision NOT NULL DEFAULT 0,
    open boolean NOT NULL DEFAULT false,
    lasting boolean NOT NULL DEFAULT false,
    owner text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL,
    process text NOT NULL DEFAULT '',
    epoch text,
    agent text NOT NULL DEFAULT '',
    run bytea NOT NULL DEFAULT '',
    state bytea NOT NULL DEFAULT '',
    UNIQUE (owner, thread_id)
) WITH (fillfactor = 50, toast_tuple_target = 256, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX thread_written ON statecast.thread (lasting, written) WHERE epoch IS NOT NULL;
CREATE INDEX thread_open ON statecast.thread (row) WHERE open;
CREATE INDEX thread_without ON statecast.thread (row) WHERE epoch IS NULL;

-- The entries of one write, up to `revision`, packed in one row. They die young.
CREATE TABLE statecast.entry (
    row bigint NOT NULL, revision bigint NOT NULL, data bytea NOT NULL, PRIMARY KEY (row, revision)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.5,
    autovacuum_vacuum_cost_delay = 0);

CREATE TABLE statecast.inbox (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row bigint NOT NULL, run_id text COLLATE "C" NOT NULL,
    data bytea NOT NULL, UNIQUE (row, run_id)
) WITH (autovacuum_vacuum_scale_factor = 0.01);
CREATE TABLE statecast.applied (
    row bigint NOT NULL, command_id text COLLATE "C" NOT NULL, digest bytea NOT NULL, run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (row, command_id)
);

CREATE TABLE statecast.summary (
    owner text COLLATE "C" NOT NULL, thread_id text COLLATE "C" NOT NULL, created double precision NOT NULL,
    updated double precision NOT NULL, last double precision NOT NULL, archived boolean NOT NULL, title text,
    external_id text COLLATE "C", custom bytea NOT NULL, used double precision NOT NULL,
    PRIMARY KEY (owner, thread_id)
);
CREATE INDEX summary_listed ON statecast.summary (owner, last, thread_id);
CREATE INDEX summary_filed ON statecast.summary (owner, archived, last, thread_id);
CREATE INDEX summary_named ON statecast.summary (owner, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX summary_owned ON statecast.summary (thread_id) WHERE owner <> '';
CREATE INDEX summary_used ON statecast.summary (used);

CREATE TABLE statecast.record (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
    data bytea NOT NULL, UNIQUE (owner, thread_id, kind, id)
);

-- Calls between processes, and the replies to them.
CREATE TABLE statecast.post (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, process text COLLATE "C" NOT NULL,
    data bytea NOT NULL, UNIQUE (owner, thread_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01);
CREATE TABLE statecast.reply (
    process text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, data bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (process, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX reply_at ON statecast.reply (at);

-- A file without a name is coming, or going. Its pieces are read in parts: they are not compressed.
CREATE TABLE statecast.file (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" UNIQUE, type text NOT NULL DEFAULT '',
    owner text NOT NULL DEFAULT '', size bigint NOT NULL DEFAULT 0, begun timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE statecast.piece (
    file bigint NOT NULL, start bigint NOT NULL, data bytea NOT NULL, PRIMARY KEY (file, start)
);
ALTER TABLE statecast.piece ALTER data SET STORAGE EXTERNAL;
CREATE TABLE statecast.secret (name text COLLATE "C" PRIMARY KEY, data bytea NOT NULL);

-- Not every server has been built with lz4.
DO $$ BEGIN
    ALTER TABLE statecast.thread ALTER state SET COMPRESSION lz4;
    ALTER TABLE statecast.entry ALTER data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$
"""

MIGRATIONS: tuple[Migration, ...] = (Migration(pre=_FIRST),)

#: Names in the table `about`: how many migrations have added, and how many have removed.
EXPANDED: Final = "expanded"
CONTRACTED: Final = "contracted"

_SET: Final = """
INSERT INTO statecast.about VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

#: What a schema may be called, so that it need not be quoted.
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,47}")


def is_name(schema: str) -> bool:
    """Return whether a schema may be called so."""
    return _NAME.fullmatch(schema) is not None


def named(statement: str, schema: str) -> bytes:
    """Return a statement for the tables of a schema."""
    return statement.replace("statecast.", f"{schema}.").encode()


async def is_current(connection: psycopg.AsyncConnection[Any], schema: str) -> bool:
    """Return whether a schema is up to date.

    Raises:
        psycopg.Error: It cannot be read.
    """
    return await _versions(connection, schema) == (len(MIGRATIONS), len(MIGRATIONS) - 1)


async def migrate(connection: psycopg.AsyncConnection[Any], schema: str) -> None:
    """Bring a schema up to date; one process does it, as long as it takes, and the others wait.

    Raises:
        StoreUnavailable: It lacks what this version needs.
        psycopg.Error: It cannot be read or changed.
    """
    wanted = len(MIGRATIONS)
    async with connection.transaction():
        await connection.execute("SELECT set_config('statement_timeout', '0', true)")
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"statecast {schema}",))
        expanded, contracted = await _versions(connection, schema)
        if contracted > wanted:
            raise StoreUnavailable(
                f"a newer version of Statecast has removed what this one needs from the schema {schema}: "
                f"expected at most {wanted} migrations there, got {contracted}"
            )
        if expanded == 0 and not await _exists(connection, "pg_namespace WHERE nspname = %s", schema):
            await connection.execute(named(f"CREATE SCHEMA {schema}", schema))
        for migration in MIGRATIONS[expanded:]:
            await connection.execute(named(migration.pre, schema))
        for migration in MIGRATIONS[contracted : wanted - 1]:
            if migration.post:
                await connection.execute(named(migration.post, schema))
        values = {EXPANDED: max(expanded, wanted), CONTRACTED: max(contracted, wanted - 1)}
        statement = named(
            "INSERT INTO statecast.about VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            schema,
        )
        for name, value in values.items():
            await connection.execute(statement, (name, str(value)))


async def _versions(connection: psycopg.AsyncConnection[Any], schema: str) -> tuple[int, int]:
    """Return how many migrations have added to a schema, and how many have removed."""
    if not await _exists(connection, "pg_tables WHERE schemaname = %s AND tablename = 'about'", schema):
        return 0, 0
    rows = await (await connection.execute(named("SELECT name, value FROM statecast.about", schema))).fetchall()
    about = dict(rows)
    return int(about.get(EXPANDED, 0)), int(about.get(CONTRACTED, 0))


async def _exists(connection: psycopg.AsyncConnection[Any], where: str, schema: str) -> bool:
    """Return whether a catalog has a row: `to_regclass` may not see yet what another process has just committed."""
    found = await (await connection.execute(f"SELECT EXISTS (SELECT FROM {where})".encode(), (schema,))).fetchone()
    return found == (True,)
