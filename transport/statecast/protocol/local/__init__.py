"""Protocols for hand-written adapters of assistant-ui's local runtime: `POST /text`, `/sse` and `/json`."""
