"""Turn exceptions of frameworks and model providers into errors that users may read.

A class is recognized by its package and name, so no framework is imported for it. The messages are written here. An
exception's own text may contain keys, prompts or addresses, and goes only to the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from statecast_agents.errors import AgentError, StatecastError

__all__ = ["TEXTS", "explained", "failure"]

#: What users read, by the code that goes on the wire.
TEXTS: Final = {
    "rate_limited": "The model provider receives too many requests. Try again in a moment.",
    "model_authentication_failed": "The model provider rejected the server's credentials.",
    "model_request_rejected": "The model provider rejected the request.",
    "model_unavailable": "The model provider is not available. Try again in a moment.",
    "model_timeout": "The model provider took too long to answer. Try again.",
    "model_cut_off": "The model's answer was cut off. Try again.",
    "connection_failed": "The connection to another service failed. Try again.",
    "context_too_long": "The conversation is too long for the model. Shorten it, or begin a new one.",
    "content_filtered": "The answer was stopped by a content filter or a guardrail.",
    "step_limit_reached": "The agent was stopped because it took more steps than it may.",
    "invalid_answer": "The model gave an answer that the agent cannot use. Try again.",
    "tool_failed": "A tool of the agent failed.",
}

#: The code of each class, by its package and name. A subclass that is not listed has its base's code.
_CODES: Final = {
    # OpenAI, and LiteLLM, whose classes extend OpenAI's.
    "openai.RateLimitError": "rate_limited",
    "openai.AuthenticationError": "model_authentication_failed",
    "openai.PermissionDeniedError": "model_authentication_failed",
    "openai.BadRequestError": "model_request_rejected",
    "openai.NotFoundError": "model_request_rejected",
    "openai.UnprocessableEntityError": "model_request_rejected",
    "openai.InternalServerError": "model_unavailable",
    "openai.APITimeoutError": "model_timeout",
    "openai.APIConnectionError": "connection_failed",
    "openai.ContentFilterFinishReasonError": "content_filtered",
    "openai.LengthFinishReasonError": "invalid_answer",
    "openai.APIResponseValidationError": "invalid_answer",
    "openai.APIError": "model_unavailable",
    "litellm.ContextWindowExceededError": "context_too_long",
    "litellm.ContentPolicyViolationError": "content_filtered",
    "litellm.BudgetExceededError": "rate_limited",
    "litellm.GuardrailRaisedException": "content_filtered",
    # Anthropic
    "anthropic.RateLimitError": "rate_limited",
    "anthropic.AuthenticationError": "model_authentication_failed",
    "anthropic.CredentialsError": "model_authentication_failed",
    "anthropic.PermissionDeniedError": "model_authentication_failed",
    "anthropic.BadRequestError": "model_request_rejected",
    "anthropic.ContentTooLargeError": "context_too_long",
    "anthropic.NotFoundError": "model_request_rejected",
    "anthropic.UnprocessableEntityError": "model_request_rejected",
    "anthropic.RequestTimeoutError": "model_timeout",
    "anthropic.InternalServerError": "model_unavailable",
    "anthropic.APITimeoutError": "model_timeout",
    "anthropic.APIConnectionError": "connection_failed",
    "anthropic.APIResponseValidationError": "invalid_answer",
    "anthropic.APIError": "model_unavailable",
    # LangChain and LangGraph
    "langchain_core.ModelRateLimitError": "rate_limited",
    "langchain_core.ModelAuthenticationError": "model_authentication_failed",
    "langchain_core.ModelPermissionDeniedError": "model_authentication_failed",
    "langchain_core.ModelInvalidRequestError": "model_request_rejected",
    "langchain_core.ModelNotFoundError": "model_request_rejected",
    "langchain_core.ModelConnectionError": "connection_failed",
    "langchain_core.ModelTimeoutError": "model_timeout",
    "langchain_core.ModelRefusalError": "content_filtered",
    "langchain_core.ModelAPIError": "model_unavailable",
    "langchain_core.ContextOverflowError": "context_too_long",
    "langchain_core.OutputParserException": "invalid_answer",
    "langchain.StructuredOutputError": "invalid_answer",
    "langchain_core.ToolException": "tool_failed",
    "langgraph.GraphRecursionError": "step_limit_reached",
    # OpenAI Agents SDK
    "agents.MaxTurnsExceeded": "step_limit_reached",
    "agents.ModelBehaviorError": "invalid_answer",
    "agents.ModelRefusalError": "content_filtered",
    "agents.ModelTimeoutError": "model_timeout",
    "agents.InputGuardrailTripwireTriggered": "content_filtered",
    "agents.OutputGuardrailTripwireTriggered": "content_filtered",
    "agents.ToolInputGuardrailTripwireTriggered": "content_filtered",
    "agents.ToolOutputGuardrailTripwireTriggered": "content_filtered",
    "agents.ToolTimeoutError": "tool_failed",
    # Pydantic AI
    "pydantic_ai.UsageLimitExceeded": "step_limit_reached",
    "pydantic_ai.ContentFilterError": "content_filtered",
    "pydantic_ai.UnexpectedModelBehavior": "invalid_answer",
    "pydantic_ai.ModelAPIError": "model_unavailable",
    # smolagents
    "smolagents.AgentMaxStepsError": "step_limit_reached",
    "smolagents.AgentParsingError": "invalid_answer",
    "smolagents.AgentToolExecutionError": "tool_failed",
    "smolagents.AgentToolCallError": "tool_failed",
    # Google ADK, and Google's model client
    "google.LlmCallsLimitExceededError": "step_limit_reached",
    "google.ClientError": "model_request_rejected",
    "google.ServerError": "model_unavailable",
    "google.APIError": "model_unavailable",
    # Microsoft Agent Framework. Its general exceptions say less than what caused them.
    "agent_framework.ChatClientInvalidAuthException": "model_authentication_failed",
    "agent_framework.ChatClientInvalidRequestException": "model_request_rejected",
    "agent_framework.ChatClientInvalidResponseException": "invalid_answer",
    "agent_framework.ChatClientContentFilterException": "content_filtered",
    "agent_framework.AgentInvalidAuthException": "model_authentication_failed",
    "agent_framework.AgentInvalidRequestException": "model_request_rejected",
    "agent_framework.AgentInvalidResponseException": "invalid_answer",
    "agent_framework.AgentContentFilterException": "content_filtered",
    "agent_framework.ToolException": "tool_failed",
    # MCP
    "mcp.MCPError": "tool_failed",
    "mcp.McpError": "tool_failed",
    # HTTP clients, also where a tool uses one
    "httpx.TimeoutException": "connection_failed",
    "httpx.TransportError": "connection_failed",
    "httpx2.TimeoutException": "connection_failed",
    "httpx2.TransportError": "connection_failed",
}

#: Packages whose exceptions have the provider's HTTP status, which says more than their class; and where they have it.
_WITH_STATUS: Final = {
    "openai": "status_code",
    "anthropic": "status_code",
    "litellm": "status_code",
    "pydantic_ai": "status_code",
    "google": "code",
}

_STATUS: Final = {
    401: "model_authentication_failed",
    403: "model_authentication_failed",
    408: "model_timeout",
    413: "context_too_long",
    429: "rate_limited",
    504: "model_timeout",
}

#: What a rejected request says of its reason, in the provider's `code` or in its text.
_REASONS: Final = {
    "context_length_exceeded": "context_too_long",
    "maximum context length": "context_too_long",
    "prompt is too long": "context_too_long",
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
}

#: How many causes and members of groups are looked at.
_DEPTH: Final = 32


def explained(error: BaseException) -> AgentError | None:
    """Return the error that users read for an exception; None if it is unknown and belongs only in the server's log.

    Causes of an exception and members of a group are checked too. For an error of Statecast itself, return None,
    because its message is already for users.
    """
    for place, cause in enumerate(_causes(error)):
        if isinstance(cause, StatecastError) or place == _DEPTH:
            return None
        code = _code(cause)
        if code is not None:
            return failure(code)
    return None


def failure(code: str) -> AgentError:
    """Return the error with a code of `TEXTS`."""
    return AgentError(TEXTS[code], code=code)


def _causes(error: BaseException) -> Iterator[BaseException]:
    pending: list[BaseException] = [error]
    while pending:
        found = pending.pop(0)
        yield found
        if isinstance(found, BaseExceptionGroup):
            pending += found.exceptions
        if found.__cause__ is not None:
            pending.append(found.__cause__)


def _code(error: BaseException) -> str | None:
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        code = _CODES.get(f"{package}.{kind.__name__}")
        if package in _WITH_STATUS:
            code = _by_status(getattr(error, _WITH_STATUS[package], None)) or code
        if code == "model_request_rejected":
            return _reason(error) or code
        if code is not None:
            return code
    return None


def _by_status(status: object) -> str | None:
    if not isinstance(status, int) or status < 400:
        return None
    return _STATUS.get(status, "model_unavailable" if status >= 500 else "model_request_rejected")


def _reason(error: BaseException) -> str | None:
    """Return the code of the reason why a provider rejected a request; None if it gave none that is known."""
    text = f"{getattr(error, 'code', '')} {error}"
    return next((code for words, code in _REASONS.items() if words in text), None)
