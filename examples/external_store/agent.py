"""An agent that keeps the branches that edits make, and the page that shows them with `useExternalStoreRuntime`.

cd examples/external_store/page && npm install && npm run build      once, with Node.js 20.19 or newer
python examples/external_store/agent.py                              then open http://127.0.0.1:8000

Say "ask" to be asked something, "slow" for a long answer, "fail" for a failure. Edit a message, or have it answered
again: what was there before stays, one click away, in every tab.
"""

import asyncio
from pathlib import Path

import msgspec

from statecast import AddMessage, AddToolResult, Agent, AgentError, Command, Run, create_app, serve
from statecast.state import Json

PAGE = Path(__file__).parent / "page" / "dist"  # what `npm run build` makes


class Node(msgspec.Struct, rename="camel"):
    """Where a message stands among all that there ever were."""

    id: str
    parent_id: str | None
    message: dict[str, Json] | None = None  # the message itself, while it is not part of the conversation


class State(msgspec.Struct):
    messages: list[dict[str, Json]] = []  # the branch that is the conversation
    branches: list[Node] = []  # oldest first; the newest messages may be missing


class ShowBranch(Command, frozen=True):
    """On the wire: `{"type": "show-branch", "messageId": "msg_…"}`: let this message be the last (null: show none)."""

    message_id: str | None


agent = Agent("branching", state=State)


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    remember(run)
    message = run.messages.assistant()
    said = command.message.text
    if "ask" in said:
        message.append_text("One question first. ")
        message.append_text(f"So it is {await run.call_tool('ask_user', {'question': 'Tea or coffee?'})}.")
        return
    for word in f"You said: {said}".split() + ["…"] * (200 if "slow" in said else 0):
        message.append_text(word + " ")
        await asyncio.sleep(0.05)
    if "fail" in said:
        raise AgentError("It went wrong, as you asked.", code="asked_to_fail")


@agent.on(AddToolResult)
def answered(run: Run, command: AddToolResult) -> None:
    """Called only where no run waits for the answer: the server was restarted meanwhile."""
    run.messages.last_assistant().append_text(f"So it is {command.result}.")


@agent.on(ShowBranch)
def show_branch(run: Run, command: ShowBranch) -> None:
    remember(run)
    nodes = {node["id"]: node for node in run.state["branches"]}
    messages = {id: node["message"] for id, node in nodes.items()}
    messages |= {message["id"]: message for message in run.messages.items}
    path: list[str] = []
    at = command.message_id
    while at is not None:
        if at not in nodes:
            raise AgentError("There is no such message.", code="no_such_message")
        path.insert(0, at)
        at = nodes[at]["parentId"]
    run.state["branches"] = [
        Node(id, node["parentId"], None if id in path else messages[id]) for id, node in nodes.items()
    ]
    run.state["messages"] = [messages[id] for id in path]


def remember(run: Run) -> None:
    """Note every message, and keep those that an edit has just dropped."""
    branches = run.state.setdefault("branches", [])
    nodes = {node["id"]: node for node in branches}
    for item in run.messages.dropped:
        id = item["message"]["id"]
        if id in nodes:
            nodes[id]["message"] = item["message"]
        else:
            branches.append(Node(id, item["parentId"], item["message"]))
    parent = None
    for message in run.messages.items:
        if message["id"] not in nodes:
            branches.append(Node(message["id"], parent))
        parent = message["id"]


app = create_app(agent, store="sqlite:///statecast.db", page=PAGE if PAGE.is_dir() else None)

if __name__ == "__main__":
    serve(app)
