"""What is served while it is measured: Statecast, its limits and assistant-stream. Each follows a `Plan`."""
