"""Agents inside an ASGI app that has other things to serve: here a Starlette app, FastAPI mounts in the same way.

python examples/mounted.py      then POST to http://127.0.0.1:8000/agents/assistant
"""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from statecast import AddMessage, Agent, Run, create_app

agent = Agent()


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    run.messages.assistant().append_text(f"You said: {command.message.text}")


# Behind a domain, name it: `create_app(agent, allowed_hosts=["chat.example.com"])`.
agents = create_app(agent)


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("The agents are at /agents.")


# A mounted app is not told when the server starts and stops: `lifespan` tells it.
app = Starlette(routes=[Route("/", home), Mount("/agents", agents)], lifespan=agents.lifespan)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)
