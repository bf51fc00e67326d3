"""Assistant Transport, in both of its wire formats: server-sent events, and the data stream of assistant-ui."""
