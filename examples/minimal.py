"""The smallest agent: it repeats what it is told, word by word.

statecast serve examples.minimal:agent      from the folder above
python examples/minimal.py                  the same
"""

import asyncio

from statecast import AddMessage, Agent, Run, serve

agent = Agent()


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    # The user's message is in `run.state["messages"]` already. This opens the answer behind it.
    message = run.messages.assistant()
    for word in f"You said: {command.message.text}".split():
        message.append_text(word + " ")  # the page has it at the next await
        await asyncio.sleep(0.05)  # where a real agent waits for its model


if __name__ == "__main__":
    serve(agent)  # http://127.0.0.1:8000
