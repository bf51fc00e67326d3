"""`statecast send` and `statecast watch`: a thread in a terminal, drawn by rich (`pip install 'statecast[client]'`).

Rule 1: stdout has what was asked for, the answer or the state, and nothing else. Everything about it goes to stderr, or
into the headline of a screen.
Rule 2: what an agent writes can't steer a terminal. Control characters are made visible, and no text is read as markup.
"""

try:
    import rich  # noqa: F401
except ImportError:
    raise ImportError("this command needs rich: pip install 'statecast[client]'") from None

from .commands import run, send, watch

__all__ = ["run", "send", "watch"]
