"""The state of a thread outside a run: documents, operations, and messages."""

from statecast_agents import (
    FORBIDDEN_KEYS,
    MAX_DEPTH,
    MAX_INTEGER,
    AppendText,
    Changes,
    Document,
    Json,
    Message,
    Messages,
    NewMessage,
    Operation,
    Set,
    new_id,
    operations,
    to_json,
)

__all__ = [
    "FORBIDDEN_KEYS",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "AppendText",
    "Changes",
    "Document",
    "Json",
    "Message",
    "Messages",
    "NewMessage",
    "Operation",
    "Set",
    "new_id",
    "operations",
    "to_json",
]
