"""Ways in which one row of a store's file can be damaged, as statements. `bad` is the thread that they hit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["ELSEWHERE", "OF_ONE_THREAD", "damage"]

_ROW = "(SELECT row FROM threads WHERE thread_id = 'bad')"
_STATE = "(SELECT state FROM threads WHERE thread_id = 'bad')"

#: Each costs a thread: it cannot be used any more.
OF_ONE_THREAD = {
    "a state cut off": "UPDATE threads SET state = CAST('{\"messages\":[' AS BLOB) WHERE thread_id = 'bad'",
    "a state that is text": "UPDATE threads SET state = '{}' WHERE thread_id = 'bad'",
    "an empty state": "UPDATE threads SET state = x'' WHERE thread_id = 'bad'",
    "a flipped byte in a state": f"UPDATE threads SET state = CAST(x'ff' || substr({_STATE}, 2) AS BLOB)"
    " WHERE thread_id = 'bad'",
    "a state of no value": "UPDATE threads SET state = zeroblob(40) WHERE thread_id = 'bad'",
    "a revision that is text": "UPDATE threads SET revision = 'x' WHERE thread_id = 'bad'",
    "a revision without its entries": "UPDATE threads SET revision = -1 WHERE thread_id = 'bad'",
    "a run cut off": "UPDATE threads SET run = CAST('{\"id\"' AS BLOB) WHERE thread_id = 'bad'",
    "a run that is none": "UPDATE threads SET run = 7 WHERE thread_id = 'bad'",
    "an epoch that is no text": "UPDATE threads SET epoch = x'ff' WHERE thread_id = 'bad'",
    "an agent that is not UTF-8": "UPDATE threads SET agent = CAST(x'ff' AS TEXT) WHERE thread_id = 'bad'",
    "a batch cut off": f"INSERT INTO inbox (row, run_id, data) VALUES ({_ROW}, 'run_x', CAST('{{' AS BLOB))",
    "a batch that is text": f"INSERT INTO inbox (row, run_id, data) VALUES ({_ROW}, 'run_x', '[]')",
    "a run id that is none": f"INSERT INTO inbox (row, run_id, data) VALUES ({_ROW}, x'00', x'00')",
    "entries that are not compressed": f"INSERT OR REPLACE INTO entries VALUES ({_ROW}, 100, 'compressed', x'00ff00')",
    "entries cut off": f"INSERT OR REPLACE INTO entries VALUES ({_ROW}, 100, 'several', x'93ff')",
    "entries of no kind": f"INSERT OR REPLACE INTO entries VALUES ({_ROW}, 100, 'strange', x'93ff')",
    "an entry far ahead": f"INSERT OR REPLACE INTO entries VALUES ({_ROW}, 100, 'operations', CAST('[]' AS BLOB))",
    "an id of a command that is none": f"INSERT INTO applied VALUES ({_ROW}, x'01', x'02', 'run')",
    "a digest that is text": f"INSERT INTO applied VALUES ({_ROW}, 'c', 'digest', 'run')",
}

#: Each costs no thread.
ELSEWHERE = {
    "a title that is not UTF-8": "UPDATE cards SET title = CAST(x'ff' AS TEXT) WHERE thread_id = 'bad'",
    "a title that is none": "UPDATE cards SET title = x'00' WHERE thread_id = 'bad'",
    "JSON cut off": "UPDATE cards SET custom = CAST('{\"a\"' AS BLOB) WHERE thread_id = 'bad'",
    "a time that is text": "UPDATE cards SET last = 'never' WHERE thread_id = 'bad'",
    "a time without end": "UPDATE cards SET last = 9e999 WHERE thread_id = 'bad'",
    "another time that is text": "UPDATE cards SET created = 'never', updated = x'00' WHERE thread_id = 'bad'",
    "a note": "INSERT INTO notes (owner, thread_id, kind, id, data) VALUES ('', 'bad', 'message', 'm', x'00')",
    "a note that is text": "INSERT INTO notes (owner, thread_id, kind, id, data) VALUES ('', 'bad', 'message', 1, 'x')",
    "a secret cut off": "INSERT OR REPLACE INTO secrets VALUES ('uploads', x'00')",
    "a secret that is text": "INSERT OR REPLACE INTO secrets VALUES ('uploads', 'text')",
    "an era that is none": "UPDATE about SET value = x'00' WHERE name = 'era'",
    "a thread without a name": "UPDATE threads SET thread_id = x'ff00' WHERE thread_id = 'bad'",
    "a card without a name": "UPDATE cards SET thread_id = x'ff00' WHERE thread_id = 'bad'",
}


def damage(path: Path, statement: str) -> None:
    """Change a file, which may be in use."""
    connection = sqlite3.connect(path, timeout=10)
    connection.execute(statement)
    connection.commit()
    connection.close()
