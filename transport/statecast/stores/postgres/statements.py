"""All SQL of the PostgreSQL store, but for its schema.

Rule 1: what writes to a thread locks its row in `thread` first, and rows in the order of their numbers: nobody waits
in a circle. Only a lock of the row, or an update of it, fences: its token cannot change any more until the commit.
Rule 2: a plain SELECT may see what is older by the time it answers. Nothing is written because of what one has said.
Rule 3: leases count by `clock_timestamp()`, the engine's clock; `now()` would be the start of the transaction.
Rule 4: rows of many threads are looked up one by one, in a LATERAL subquery with a limit. The planner would read all of
a table instead that is not large yet, and would not lock rows in the order in which they are given.
Rule 5: arrays of numbers are passed as text, so that the type of a parameter is the same in every call.
Rule 6: statements that run all the time take arrays through a subselect. Otherwise the planner counts what is in them,
and plans every call anew, which takes as long as the statement itself.
"""

from __future__ import annotations

from typing import Final

__all__: list[str] = []

# Writing to threads.

#: Append entries to many threads in one statement. Returns the rows that were written to: the others are fenced, do not
#: exist, or have these entries already. The lock fences; the row itself does not change, which costs half as much.
APPEND: Final = """
WITH mine AS MATERIALIZED (
    SELECT thread.row, given.last, given.data
    FROM unnest(
            (SELECT %s::bigint[]), (SELECT %s::bigint[]), (SELECT %s::bigint[]), (SELECT %b::bytea[])
        ) AS given (row, token, last, data), LATERAL (
        SELECT row FROM statecast.thread WHERE row = given.row AND token = given.token AND epoch IS NOT NULL
        LIMIT 1 FOR NO KEY UPDATE
    ) AS thread
)
INSERT INTO statecast.entry (row, revision, data) SELECT row, last, data FROM mine ON CONFLICT DO NOTHING RETURNING row
"""

#: The same, and of some threads, say that they are written to, and whether their run goes on.
APPEND_AND_TOUCH: Final = """
WITH mine AS MATERIALIZED (
    SELECT thread.row, given.last, given.data, given.touch, given.open
    FROM unnest(
            (SELECT %s::bigint[]), (SELECT %s::bigint[]), (SELECT %s::bigint[]), (SELECT %b::bytea[]),
            (SELECT %s::boolean[]), (SELECT %s::boolean[])
        ) AS given (row, token, last, data, touch, open), LATERAL (
        SELECT row FROM statecast.thread WHERE row = given.row AND token = given.token AND epoch IS NOT NULL
        LIMIT 1 FOR NO KEY UPDATE
    ) AS thread
), touched AS (
    UPDATE statecast.thread SET open = coalesce(mine.open, thread.open), written = greatest(thread.written, %s)
    FROM mine WHERE mine.touch AND thread.row = mine.row
)
INSERT INTO statecast.entry (row, revision, data) SELECT row, last, data FROM mine ON CONFLICT DO NOTHING RETURNING row
"""

#: Begin a transaction that locks rows. Where a process is cut off from the engine in it, others must not wait long.
BEGIN: Final = "BEGIN"
PATIENCE: Final = """
SELECT set_config('idle_in_transaction_session_timeout', %s, true), set_config('statement_timeout', %s, true)
"""
COMMIT: Final = "COMMIT"

#: Make the rows of threads that are to be created.
MAKE_ROWS: Final = """
INSERT INTO statecast.thread (owner, thread_id)
SELECT * FROM unnest(%s::text[], %s::text[]) AS given (owner, thread_id) ORDER BY 1, 2
ON CONFLICT (owner, thread_id) DO NOTHING
"""

#: Lock the rows of threads, and return what decides whether something is written.
LOCK: Final = """
SELECT number, row, token, epoch IS NOT NULL, mark, until > clock_timestamp()
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (owner, thread_id, number)
    JOIN statecast.thread USING (owner, thread_id)
ORDER BY row FOR NO KEY UPDATE OF thread
"""

#: Return the last revisions of threads. It is a statement after the one that has locked them, or it would miss entries
#: that were committed while that one waited.
REVISIONS: Final = """
SELECT number, greatest(reached, (SELECT max(revision) FROM statecast.entry WHERE entry.row = thread.row))
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (owner, thread_id, number)
    JOIN statecast.thread USING (owner, thread_id)
"""

#: Return which threads have a summary.
SUMMARIZED: Final = """
SELECT number FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (owner, thread_id, number)
    JOIN statecast.summary USING (owner, thread_id)
"""

CREATE: Final = """
UPDATE statecast.thread SET agent = %s, epoch = %s, lasting = %s, state = %b, run = 'null', reached = 0,
    open = false, version = version + 1, written = %s
WHERE row = %s
"""
PUT_ENTRIES: Final = "INSERT INTO statecast.entry (row, revision, data) VALUES (%s, %s, %b)"

#: Record what a group of changes has come to: each group ends with it.
TOUCH: Final = """
UPDATE statecast.thread SET open = coalesce(%s, open), version = version + %s, mark = %s,
    written = greatest(written, %s)
WHERE row = %s
"""
ACCEPT: Final = """
INSERT INTO statecast.inbox (row, run_id, data) VALUES (%s, %s, %b)
ON CONFLICT (row, run_id) DO UPDATE SET data = excluded.data
"""
CHANGE_BATCH: Final = "UPDATE statecast.inbox SET data = %b WHERE row = %s AND run_id = %s"
SETTLE: Final = "DELETE FROM statecast.inbox WHERE row = %s AND run_id = %s"
APPLY: Final = """
INSERT INTO statecast.applied (row, command_id, digest, run_id) VALUES (%s, %s, %b, %s)
ON CONFLICT (row, command_id) DO UPDATE SET digest = excluded.digest, run_id = excluded.run_id
"""
COMPACT: Final = "UPDATE statecast.thread SET reached = %s, state = %b, run = %b WHERE row = %s"
DROP_ENTRIES: Final = "DELETE FROM statecast.entry WHERE row = %s AND revision <= %s"
ASSIGN: Final = "UPDATE statecast.thread SET agent = %s WHERE row = %s"
RENEW_EPOCH: Final = "UPDATE statecast.thread SET epoch = %s WHERE row = %s"

#: Delete a thread. Its row stays: the token of the next claim is greater than all before.
ERASE: Final = """
UPDATE statecast.thread SET epoch = NULL, agent = '', state = '', run = '', reached = 0, open = false
WHERE row = %s
"""
ERASE_OF_ROW: Final = (
    "DELETE FROM statecast.entry WHERE row = %s",
    "DELETE FROM statecast.inbox WHERE row = %s",
    "DELETE FROM statecast.applied WHERE row = %s",
)
ERASE_OF_KEY: Final = (
    "DELETE FROM statecast.summary WHERE owner = %s AND thread_id = %s",
    "DELETE FROM statecast.record WHERE owner = %s AND thread_id = %s",
)

#: Give a thread, and what is beside it, to another owner. Tokens stay with their keys.
MOVE: Final = """
UPDATE statecast.thread AS target SET agent = source.agent, epoch = source.epoch, lasting = source.lasting,
    state = source.state, run = source.run, reached = source.reached, open = source.open, written = source.written,
    version = greatest(target.version, source.version) + 1
FROM statecast.thread AS source WHERE target.row = %s AND source.row = %s
"""
MOVE_OF_ROW: Final = (
    "UPDATE statecast.entry SET row = %s WHERE row = %s",
    "UPDATE statecast.inbox SET row = %s WHERE row = %s",
    "UPDATE statecast.applied SET row = %s WHERE row = %s",
)
CLEAR_RECORDS: Final = "DELETE FROM statecast.record WHERE owner = %s AND thread_id = %s"
MOVE_OF_KEY: Final = (
    "UPDATE statecast.summary SET owner = %s WHERE owner = %s AND thread_id = %s",
    "UPDATE statecast.record SET owner = %s WHERE owner = %s AND thread_id = %s",
)

#: Change the fields of a summary that are flagged. A new one has the others' defaults.
SUMMARIZE: Final = """
INSERT INTO statecast.summary AS summary
    (owner, thread_id, created, updated, last, archived, title, external_id, custom, used)
VALUES (%(owner)s, %(thread_id)s, %(at)s, %(at)s, %(last)s, %(archived)s, %(title)s, %(external_id)s, %(custom)b,
    %(used)s)
ON CONFLICT (owner, thread_id) DO UPDATE SET updated = excluded.updated, used = excluded.used,
    last = CASE WHEN %(has_last)s THEN excluded.last ELSE summary.last END,
    archived = CASE WHEN %(has_archived)s THEN excluded.archived ELSE summary.archived END,
    title = CASE WHEN %(has_title)s THEN excluded.title ELSE summary.title END,
    external_id = CASE WHEN %(has_external_id)s THEN excluded.external_id ELSE summary.external_id END,
    custom = CASE WHEN %(has_custom)s THEN excluded.custom ELSE summary.custom END
"""
WRITE_RECORD: Final = """
INSERT INTO statecast.record (owner, thread_id, kind, id, data) VALUES (%s, %s, %s, %s, %b)
ON CONFLICT (owner, thread_id, kind, id) DO UPDATE SET data = excluded.data
"""
ERASE_RECORD: Final = "DELETE FROM statecast.record WHERE owner = %s AND thread_id = %s AND kind = %s AND id = %s"

# Claims.

#: Claim a thread, and return its row and the new token. Nothing: another process holds it. `REVISIONS` is to follow in
#: the same transaction.
CLAIM: Final = """
INSERT INTO statecast.thread AS thread (owner, thread_id, token, process, until)
VALUES (%s, %s, 1, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (owner, thread_id) DO UPDATE
    SET token = thread.token + 1, process = excluded.process, until = clock_timestamp() + make_interval(secs => %s)
    WHERE thread.until <= clock_timestamp() OR thread.process = excluded.process
RETURNING row, token, epoch
"""
HOLDER: Final = "SELECT process FROM statecast.thread WHERE owner = %s AND thread_id = %s"

#: Renew claims, and return those that were. It may be lost with the engine's last moments: then a claim ends sooner.
RENEW: Final = """
WITH mine AS MATERIALIZED (
    SELECT thread.row, given.number
    FROM unnest(%s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY AS given (owner, thread_id, token, number),
        set_config('synchronous_commit', 'off', true), LATERAL (
        SELECT row FROM statecast.thread
        WHERE owner = given.owner AND thread_id = given.thread_id AND token = given.token LIMIT 1
    ) AS thread
), locked AS MATERIALIZED (
    SELECT mine.row, mine.number FROM mine JOIN statecast.thread ON thread.row = mine.row
    ORDER BY mine.row FOR NO KEY UPDATE OF thread
)
UPDATE statecast.thread SET until = clock_timestamp() + make_interval(secs => %s)
FROM locked WHERE thread.row = locked.row RETURNING locked.number
"""
RELEASE: Final = """
WITH given AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS given (owner, thread_id, token)
), mine AS (
    SELECT thread.row FROM given
        JOIN statecast.thread ON thread.owner = given.owner AND thread.thread_id = given.thread_id
    WHERE thread.token = given.token ORDER BY thread.row FOR NO KEY UPDATE OF thread
)
UPDATE statecast.thread SET until = clock_timestamp(), process = '' FROM mine WHERE thread.row = mine.row
"""

#: Forget keys that nobody has claimed for long, and that are no thread: a claim of one begins with token 1 again.
FORGET: Final = """
DELETE FROM statecast.thread WHERE row IN (
    SELECT row FROM statecast.thread WHERE epoch IS NULL AND until < clock_timestamp() - make_interval(secs => %s)
    LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""

# Reading threads.

#: A thread, all of it as of one moment.
LOAD: Final = """
SELECT agent, epoch, lasting, reached, state, run,
    ARRAY(SELECT data FROM statecast.entry WHERE entry.row = thread.row AND revision > reached ORDER BY revision),
    ARRAY(SELECT run_id FROM statecast.inbox WHERE inbox.row = thread.row ORDER BY place),
    ARRAY(SELECT data FROM statecast.inbox WHERE inbox.row = thread.row ORDER BY place),
    ARRAY(SELECT command_id FROM statecast.applied WHERE applied.row = thread.row ORDER BY command_id),
    ARRAY(SELECT digest FROM statecast.applied WHERE applied.row = thread.row ORDER BY command_id),
    ARRAY(SELECT run_id FROM statecast.applied WHERE applied.row = thread.row ORDER BY command_id),
    ARRAY(SELECT id FROM statecast.record WHERE record.owner = thread.owner AND record.thread_id = thread.thread_id
        AND kind = %s ORDER BY place),
    ARRAY(SELECT data FROM statecast.record WHERE record.owner = thread.owner AND record.thread_id = thread.thread_id
        AND kind = %s ORDER BY place)
FROM statecast.thread WHERE owner = %s AND thread_id = %s AND epoch IS NOT NULL
"""

#: What is new on threads, of those where anything is: the first rows of entries, if they are many.
TAILS: Final = """
SELECT number, thread.epoch, thread.version, thread.agent, thread.revision, thread.reached,
    CASE WHEN thread.epoch = given.epoch AND given.revision BETWEEN thread.reached AND thread.revision THEN ARRAY(
        SELECT data FROM statecast.entry WHERE entry.row = thread.row AND entry.revision > given.revision
        ORDER BY entry.revision LIMIT %s
    ) END,
    inbox.runs, inbox.data
FROM unnest(
        (SELECT %s::text[]), (SELECT %s::text[]), (SELECT %s::text[]), (SELECT %s::bigint[]), (SELECT %s::bigint[])
    ) WITH ORDINALITY AS given (owner, thread_id, epoch, revision, version, number)
    LEFT JOIN LATERAL (
        SELECT row, epoch, version, agent, reached,
            greatest(reached, (SELECT max(revision) FROM statecast.entry WHERE entry.row = thread.row)) AS revision
        FROM statecast.thread WHERE owner = given.owner AND thread_id = given.thread_id LIMIT 1
    ) AS thread ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(run_id ORDER BY place) AS runs, array_agg(data ORDER BY place) AS data
        FROM statecast.inbox WHERE inbox.row = thread.row AND thread.version <> given.version
    ) AS inbox ON true
WHERE thread.epoch IS DISTINCT FROM given.epoch OR thread.revision <> given.revision
    OR thread.version <> given.version
"""

#: Threads with work left that no process holds.
UNFINISHED: Final = """
SELECT owner, thread_id FROM statecast.thread WHERE until <= clock_timestamp() AND epoch IS NOT NULL
    AND row IN (SELECT row FROM statecast.thread WHERE open UNION SELECT row FROM statecast.inbox)
UNION SELECT DISTINCT post.owner, post.thread_id FROM statecast.post
    LEFT JOIN statecast.thread ON thread.owner = post.owner AND thread.thread_id = post.thread_id
    WHERE coalesce(thread.until, '-infinity') <= clock_timestamp()
"""

#: Threads that were not written to since a time, and summaries without one.
IDLE: Final = """
SELECT owner, thread_id FROM statecast.thread WHERE NOT lasting AND written < %s AND epoch IS NOT NULL
    AND until <= clock_timestamp()
"""
IDLE_LASTING: Final = """
SELECT owner, thread_id FROM statecast.thread WHERE lasting AND written < %(before)s AND epoch IS NOT NULL
    AND until <= clock_timestamp() AND NOT EXISTS (SELECT 1 FROM statecast.summary
        WHERE summary.owner = thread.owner AND summary.thread_id = thread.thread_id AND used >= %(before)s)
UNION ALL SELECT owner, thread_id FROM statecast.summary WHERE used < %(before)s AND NOT EXISTS (
    SELECT 1 FROM statecast.thread WHERE thread.owner = summary.owner AND thread.thread_id = summary.thread_id
        AND (epoch IS NOT NULL OR until > clock_timestamp()))
"""

# Calls and replies.

POST: Final = """
INSERT INTO statecast.post (owner, thread_id, id, process, data) VALUES (%s, %s, %s, %s, %b)
ON CONFLICT (owner, thread_id, id) DO NOTHING
"""
POSTS: Final = """
SELECT post.owner, post.thread_id, id, process, data FROM unnest(%s::text[], %s::text[]) AS given (owner, thread_id)
    JOIN statecast.post ON post.owner = given.owner AND post.thread_id = given.thread_id
ORDER BY place
"""

#: Take a call, and reply to it if it was there.
TAKE: Final = """
WITH taken AS (
    DELETE FROM statecast.post WHERE owner = %s AND thread_id = %s AND id = %s RETURNING process, id
)
INSERT INTO statecast.reply (process, id, data) SELECT process, id, %b FROM taken ON CONFLICT (process, id) DO NOTHING
"""
REPLIES: Final = "DELETE FROM statecast.reply WHERE process = %s RETURNING id, data"

#: Delete replies and calls that nobody waits for any more.
FORGET_REPLIES: Final = "DELETE FROM statecast.reply WHERE at < clock_timestamp() - make_interval(secs => %s)"

# Summaries, records.

#: The columns of a summary.
SUMMARY: Final = "owner, thread_id, created, updated, last, archived, title, external_id, custom"

SUMMARY_OF: Final = f"SELECT {SUMMARY} FROM statecast.summary WHERE owner = %s AND thread_id = %s"

#: The summaries of an owner, the latest first: whether they are archived or not, and whether after another one.
SUMMARIES: Final = {
    (filed, paged): (
        f"SELECT {SUMMARY} FROM statecast.summary WHERE owner = %(owner)s"
        f"{' AND archived = %(archived)s' if filed else ''}"
        f"{' AND (last, thread_id) < (%(last)s, %(thread_id)s)' if paged else ''}"
        " ORDER BY last DESC, thread_id DESC LIMIT %(limit)s"
    )
    for filed in (False, True)
    for paged in (False, True)
}
SUMMARY_NAMED: Final = f"""
SELECT {SUMMARY} FROM statecast.summary WHERE owner = %s AND external_id = %s ORDER BY created, thread_id LIMIT 1
"""
IS_OWNED: Final = "SELECT 1 FROM statecast.summary WHERE thread_id = %s AND owner <> '' LIMIT 1"
RECORDS: Final = """
SELECT id, data FROM statecast.record WHERE owner = %s AND thread_id = %s AND kind = %s ORDER BY place
"""

#: Return a secret; the first one that was offered is it, unless it was cut off.
SECRET: Final = """
INSERT INTO statecast.secret AS secret (name, data) VALUES (%s, %b) ON CONFLICT (name) DO UPDATE
    SET data = CASE WHEN length(secret.data) < length(excluded.data) THEN excluded.data ELSE secret.data END
RETURNING data
"""

# Files.

BEGIN_FILE: Final = "INSERT INTO statecast.file DEFAULT VALUES RETURNING number"
PUT_PIECE: Final = "INSERT INTO statecast.piece (file, start, data) VALUES (%s, %s, %b)"
UNLINK_FILE: Final = "UPDATE statecast.file SET name = NULL WHERE name = %s RETURNING number"
FINISH_FILE: Final = "UPDATE statecast.file SET name = %s, type = %s, owner = %s, size = %s WHERE number = %s"
FILE: Final = "SELECT type, owner, size FROM statecast.file WHERE name = %s"

#: The pieces of a file that hold some of its bytes, and of the first and the last one only what is asked for.
READ_FILE: Final = """
SELECT start + greatest(%(start)s - start, 0), substring(
    data FROM greatest(%(start)s - start, 0)::int + 1 FOR (%(end)s - start - greatest(%(start)s - start, 0))::int)
FROM statecast.file JOIN statecast.piece ON piece.file = file.number
WHERE name = %(name)s AND start > %(start)s - %(piece)s AND start < %(end)s ORDER BY start
"""

#: Delete some pieces of a file, and the file when it has none left; but not if it has a name. The lock waits for a
#: commit that is under way, whose reply was lost, and which may give it one.
DROP_PIECES: Final = """
WITH gone AS MATERIALIZED (SELECT number FROM statecast.file WHERE number = %s AND name IS NULL FOR UPDATE)
DELETE FROM statecast.piece USING gone WHERE file = gone.number AND start IN (
    SELECT start FROM statecast.piece WHERE file = %s ORDER BY start LIMIT %s)
"""
DROP_FILE: Final = "DELETE FROM statecast.file WHERE number = %s AND name IS NULL"

#: Files whose writer has ended in the middle, or whose pieces were not all deleted.
LEFT_FILES: Final = """
SELECT number FROM statecast.file WHERE name IS NULL AND begun < clock_timestamp() - make_interval(secs => %s)
"""

# The engine itself.

#: Check that changes can be written.
PROBE: Final = """
INSERT INTO statecast.about VALUES ('probe', '') ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

#: Store the time of the store's clock, unless another process's is later, and return the latest.
CLOCK: Final = """
INSERT INTO statecast.about AS about VALUES ('clock', %s) ON CONFLICT (name) DO UPDATE SET value =
    CASE WHEN split_part(about.value, ' ', 1)::float8 < %s THEN excluded.value ELSE about.value END
RETURNING value
"""
STORED_CLOCK: Final = "SELECT value FROM statecast.about WHERE name = 'clock'"

#: Which cluster this is. Where the first may not be asked, a name that the schema was given when it was made.
SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"
SCHEMA_NAME: Final = """
INSERT INTO statecast.about AS about VALUES ('name', %s) ON CONFLICT (name) DO UPDATE SET value = about.value
RETURNING value
"""
#: Which timeline of it: each failover and each restore begins another. It is the first part of the name of a log file.
TIMELINE: Final = "SELECT substring(pg_walfile_name(pg_current_wal_insert_lsn()) FOR 8)"
DURABILITY: Final = """
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names')
"""

#: Settings of a connection that is not behind a pooler.
SETTINGS: Final = """
SELECT set_config('statement_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('synchronous_commit', coalesce(%s, current_setting('synchronous_commit')), false)
"""

#: The process that serves a connection. A pooler has made up the one that the connection names.
BACKEND: Final = "SELECT pg_backend_pid()"

# Hints.

#: Send hints, never in a transaction that writes anything: all that notify are committed one after the other.
NOTIFY: Final = """
SELECT count(pg_notify(channel, payload)) FROM unnest(%s::text[], %s::text[]) AS given (channel, payload),
    set_config('synchronous_commit', 'off', true)
"""
