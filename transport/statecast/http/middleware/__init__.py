"""ASGI middleware: what happens to each request before an endpoint gets it, and to each answer after."""
