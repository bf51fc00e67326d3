"""The agent's side of Statecast: state, commands, messages and runs. Nothing here uses a network."""

from . import chunks, operations
from .agent import Agent
from .changes import Changes
from .chunks import Usage
from .commands import AddMessage, AddToolResult, Answer, Command, NewMessage, UntypedCommand
from .document import Document, to_json
from .errors import (
    AgentError,
    CommandError,
    InvalidAnswer,
    InvalidCommand,
    MemoryTooLarge,
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
from .foreign import to_state
from .hooks import About, Feedback
from .ids import new_id
from .memory import Memory
from .message import AssistantMessage, CallMessages, Message, MessageList, ToolCall
from .message_list import Messages
from .metadata import Timing
from .operations import AppendText, Operation, Set
from .parts import CallStream, Parts, Step
from .request import CallSettings, Config, Request
from .run import Run, current_run
from .values import FORBIDDEN_KEYS, MAX_DEPTH, MAX_INTEGER, Json
from .waiting import Listener

__all__ = [
    "FORBIDDEN_KEYS",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "About",
    "AddMessage",
    "AddToolResult",
    "Agent",
    "AgentError",
    "Answer",
    "AppendText",
    "AssistantMessage",
    "CallMessages",
    "CallSettings",
    "CallStream",
    "Changes",
    "Command",
    "CommandError",
    "Config",
    "Document",
    "Feedback",
    "InvalidAnswer",
    "InvalidCommand",
    "Json",
    "Listener",
    "Memory",
    "MemoryTooLarge",
    "Message",
    "MessageConflict",
    "MessageList",
    "Messages",
    "NewMessage",
    "NoRun",
    "NotJson",
    "Operation",
    "OperationError",
    "PartTooLarge",
    "Parts",
    "Request",
    "Run",
    "RunEnded",
    "Set",
    "StateInvalid",
    "StateTooLarge",
    "StatecastError",
    "Step",
    "Timing",
    "TooLarge",
    "ToolCall",
    "ToolFailed",
    "UnknownCommand",
    "UntypedCommand",
    "Usage",
    "chunks",
    "current_run",
    "new_id",
    "operations",
    "to_json",
    "to_state",
]
