"""Streams that survive their connection: a run goes on when its client leaves, and the client reads it again.

A store keeps what was streamed: in this process, unless a backend brings another one.
"""

from .context import ResumableStreamContext, create_resumable_stream_context
from .response import (
    RESUMABLE_STREAM_ID_HEADER,
    create_resumable_assistant_stream_response,
    create_resume_assistant_stream_response,
)
from .store import (
    DEFAULT_TTL_MS,
    CancellationSignal,
    ResumableStreamEntry,
    ResumableStreamError,
    ResumableStreamErrorCode,
    ResumableStreamRole,
    ResumableStreamStatus,
    ResumableStreamStore,
    create_in_memory_resumable_stream_store,
    validate_stream_id,
)

__all__ = [
    "DEFAULT_TTL_MS",
    "RESUMABLE_STREAM_ID_HEADER",
    "CancellationSignal",
    "ResumableStreamContext",
    "ResumableStreamEntry",
    "ResumableStreamError",
    "ResumableStreamErrorCode",
    "ResumableStreamRole",
    "ResumableStreamStatus",
    "ResumableStreamStore",
    "create_in_memory_resumable_stream_store",
    "create_resumable_assistant_stream_response",
    "create_resumable_stream_context",
    "create_resume_assistant_stream_response",
    "validate_stream_id",
]
