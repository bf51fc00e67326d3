"""An agent that asks before it acts: it waits in the middle of its work, and an answer after a restart is as good.

statecast serve examples.approval:agent      from the folder above
python examples/approval.py                  the same, without a file of threads: there, questions end with the server

Say "delete old logs". The page answers the call of its tool `approval` with `{"approved": true}` or false.
"""

from statecast import AddMessage, AddToolResult, Agent, Run, serve

# Another message instead of an answer: the question is dropped, and the message gets its own run.
agent = Agent("careful", policy="interrupt")


@agent.on(AddMessage)
async def work(run: Run, command: AddMessage) -> None:
    message = run.messages.assistant()
    run.state["task"] = command.message.text  # in the state: a local variable would not survive a restart
    message.append_text("Let me make sure. ")
    approved = await run.approval("Shall I go on?", task=run.state["task"])  # the response ends here, the run does not
    finish(run, approved=approved)


@agent.on(AddToolResult)
async def answered(run: Run, command: AddToolResult) -> None:
    """Called only where no run waits for the answer: the server was restarted, or the question dropped."""
    result = command.result
    finish(run, approved=not command.is_error and isinstance(result, dict) and result.get("approved") is True)


def finish(run: Run, *, approved: bool) -> None:
    did = f"Done: {run.state['task']}." if approved else "Then I leave it."
    run.messages.last_assistant().append_text(did)


if __name__ == "__main__":
    serve(agent)
