"""Reading requests: the body, its fields, the caller, and the client's address."""
