"""A librarian made with smolagents. It searches a shelf before it answers.

pip install statecast 'smolagents[openai]'
export OPENAI_API_KEY=…            # not needed by most local servers
export OPENAI_BASE_URL=…           # left out: OpenAI's own; or for instance http://127.0.0.1:11434/v1
export OPENAI_MODEL=…              # default: gpt-5-mini
statecast serve examples.smolagents.agent:agent           in the root of the checkout
python examples/smolagents/agent.py                       the same

README.md in this folder says what to try.
"""

import os

from smolagents import LogLevel, OpenAIModel, ToolCallingAgent, tool

from statecast import serve
from statecast.frameworks import SmolagentsAgent

SHELF = {
    "Walden": "Henry David Thoreau, 1854: two years in a cabin by a pond.",
    "The Tao of Pooh": "Benjamin Hoff, 1982: a bear explains a philosophy.",
    "A Field Guide to Getting Lost": "Rebecca Solnit, 2005: essays on not knowing the way.",
}


@tool
def search(words: str) -> str:
    """Search the shelf.

    Args:
        words: Words of which a book's title or description must have one.
    """
    wanted = words.lower().split()
    books = [f"{title}: {about}" for title, about in SHELF.items()]
    found = [book for book in books if any(word in book.lower() for word in wanted)]
    return "\n".join(found) or "Nothing."


def make() -> ToolCallingAgent:
    """Return an agent for one run; Statecast fills its memory from the thread."""
    model = OpenAIModel(
        os.environ.get("OPENAI_MODEL", "gpt-5-mini"),
        api_base=os.environ.get("OPENAI_BASE_URL"),
        api_key=os.environ.get("OPENAI_API_KEY", "none"),
    )
    return ToolCallingAgent(
        tools=[search],
        model=model,
        stream_outputs=True,
        max_steps=6,
        instructions="You are a librarian. Recommend only books that the search finds.",
        verbosity_level=LogLevel.ERROR,
    )


agent = SmolagentsAgent(make, "librarian")

if __name__ == "__main__":
    serve(agent)
