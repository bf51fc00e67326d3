"""ASGI middleware: it sees each request before its endpoint, and each response after."""
