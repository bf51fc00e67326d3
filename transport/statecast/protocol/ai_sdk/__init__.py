"""`POST /chat`: the AI SDK and assistant-ui's data-stream runtime."""
