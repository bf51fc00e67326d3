"""Every error that agents raise or meet, as a tree below `StatecastError`."""

from statecast_agents import (
    AgentError,
    CommandError,
    InvalidAnswer,
    InvalidCommand,
    MessageConflict,
    NoRun,
    NotJson,
    OperationError,
    PartTooLarge,
    RunEnded,
    StatecastError,
    StateInvalid,
    StateTooLarge,
    TooLarge,
    ToolFailed,
    UnknownCommand,
)

__all__ = [
    "AgentError",
    "CommandError",
    "InvalidAnswer",
    "InvalidCommand",
    "MessageConflict",
    "NoRun",
    "NotJson",
    "OperationError",
    "PartTooLarge",
    "RunEnded",
    "StateInvalid",
    "StateTooLarge",
    "StatecastError",
    "TooLarge",
    "ToolFailed",
    "UnknownCommand",
]
