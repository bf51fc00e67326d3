"""The events of a thread across its runs: `GET /threads/{id}/events`, and the WebSocket."""
