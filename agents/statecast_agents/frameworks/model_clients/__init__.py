"""Use the clients of model providers: streams of OpenAI, Anthropic and LiteLLM, their requests, and a loop with tools.

Rule: nothing here imports a provider's package; the chunks of a stream are recognized by their shape.
"""
