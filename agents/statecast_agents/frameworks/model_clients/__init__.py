"""The clients of model providers: OpenAI's, Anthropic's and LiteLLM's streams, requests, and a loop with tools.

Rule: nothing here imports a provider's package; what a stream yields is read by its shape.
"""
