"""Why a request that concerns a thread is refused, where more than one place finds it out."""

from __future__ import annotations

from statecast.protocol.errors import Refusal

__all__ = ["damaged", "unavailable", "unknown_thread"]


def unknown_thread(thread_id: str) -> Refusal:
    """Return that nothing is known of a thread: it never was, it was deleted, or it is another owner's."""
    message = f'expected the id of a thread, got "{thread_id[:128]}", which this server does not know'
    return Refusal(404, "unknown_thread", message)


def unavailable() -> Refusal:
    """Return why nothing can be accepted while the store is away."""
    return Refusal(503, "store_unavailable", "the store cannot be reached; try again soon", retry_after=2)


def damaged(thread_id: str) -> Refusal:
    """Return that a thread cannot be used, though the store works."""
    message = (
        f'the thread "{thread_id[:128]}" cannot be stored or read; the reason is in the server\'s log. '
        "Delete it, or go on in another thread"
    )
    return Refusal(409, "thread_damaged", message)
