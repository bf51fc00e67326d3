"""Stream the state of AI agents to user interfaces: `from statecast import Agent, Run, create_app, serve`.

Most apps need no more than this. `statecast.state`, `statecast.parts`, `statecast.errors` and `statecast.testing` have
the rest.
"""

from statecast_agents import (
    About,
    AddMessage,
    AddToolResult,
    Agent,
    AgentError,
    Answer,
    AssistantMessage,
    CallSettings,
    Command,
    Config,
    Feedback,
    Listener,
    Memory,
    Request,
    Run,
    ToolCall,
    ToolFailed,
    UntypedCommand,
    current_run,
)

from .files import Uploads
from .http import App, Cloud, CloudReport, CloudUser, Issuer, Traces, create_app
from .server import serve
from .threads import Connections, Limits

__all__ = [
    "About",
    "AddMessage",
    "AddToolResult",
    "Agent",
    "AgentError",
    "Answer",
    "App",
    "AssistantMessage",
    "CallSettings",
    "Cloud",
    "CloudReport",
    "CloudUser",
    "Command",
    "Config",
    "Connections",
    "Feedback",
    "Issuer",
    "Limits",
    "Listener",
    "Memory",
    "Request",
    "Run",
    "ToolCall",
    "ToolFailed",
    "Traces",
    "UntypedCommand",
    "Uploads",
    "create_app",
    "current_run",
    "serve",
]
