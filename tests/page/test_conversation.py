"""What a user does with single messages of the chat, and all of it with the keyboard alone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

from examples.external_store.agent import agent as branching
from statecast import AddMessage, Agent, Run, create_app
from tests.clients.serving import served

from .demo_page import AGENT, USER, Page, form, part

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}
TABLET = {"width": 820, "height": 1180}

#: Notes what the page puts into the clipboard and offers as downloads.
_LISTEN = """
() => {
  navigator.clipboard.writeText = async (text) => void (window.copied = text);
  const made = URL.createObjectURL;
  URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return made(blob); };
}
"""


def focused(page: Page, name: str) -> None:
    """Wait until the focus is on what has this name for tests, or a name for people that begins with it."""
    look = "document.activeElement.dataset.testid ?? document.activeElement.ariaLabel ?? ''"
    page.arrive(f"() => ({look}).startsWith('{name}')")


def answered(page: Page, text: str, number: int = 0) -> None:
    """Say something, and wait for the answer, which is the one of that number."""
    page.say(text)
    page.wait(f"{AGENT} >> nth={number} >> .text")
    page.rest()


def test_an_edit_and_another_answer_make_branches_that_can_be_shown_again(open_page: Open) -> None:
    with (
        served(create_app(branching, open_list=True, page=True)) as url,
        open_page(url=f"{url}/", viewport=WIDE) as page,
    ):
        answered(page, "tea")
        page.edit(0, "coffee")
        page.wait(f"{AGENT} .text", text="You said: coffee")
        page.rest()
        page.wait(f"{USER} {part('branches')}", text="2 / 2")
        page.shoot("branches")
        page.click(f"{USER} {part('branches')} button >> nth=0")
        page.wait(f"{AGENT} .text", text="You said: tea")
        page.wait(f"{USER} {part('branches')}", text="1 / 2")
        page.rest()
        page.click(part("message-reload"))
        page.wait(f"{AGENT} {part('branches')}", text="2 / 2")
        page.rest()
        page.do("reload")  # they are in the state
        page.wait(f"{USER} {part('branches')}", text="/ ")
        page.wait(f"{AGENT} .text", text="You said: tea")


def test_an_answer_is_copied_and_given_again_and_a_thread_is_saved(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        answered(page, "what is a cursor?")
        page.script(_LISTEN)
        page.click(part("message-copy"))
        page.arrive("() => window.copied !== undefined")
        assert page.script("() => window.copied") == page.reply()
        before = page.state()["messages"][1]["id"]
        page.click(part("message-reload"))
        page.wait(f"{AGENT}")
        page.open("runs")
        page.watch(f"() => document.querySelectorAll('{part('run')}[data-status=completed]').length === 2 || null")
        page.rest()
        [question, answer] = page.state()["messages"]
        assert (question["role"], answer["role"], answer["id"] == before) == ("user", "assistant", False)
        page.click(part("thread-menu"))
        page.click(part("export"))
        page.arrive("() => window.saved !== undefined")
        saved = page.script("() => JSON.parse(window.saved)")
        assert (saved["threadId"], saved["state"]) == (page.thread, page.state())


def test_a_file_goes_with_a_message_and_can_be_opened_afterwards(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        data = base64.b64encode(b"Ottilie eats carrots.").decode()
        file = {"name": "zoo.txt", "type": "text/plain", "data": data}
        page.do("upload", selector=part("composer-attach"), files=[file])
        page.wait(part("attachment"), text="zoo.txt")
        page.shoot("attachment")
        answered(page, "what is a cursor?")
        page.wait(f"{USER} a.source", text="zoo.txt")
        page.do("reload")
        page.wait(f"{USER} a.source", text="zoo.txt")
        text = "async () => (await fetch(document.querySelector('[data-role=user] a.source').href)).text()"
        assert page.script(text) == "Ottilie eats carrots."


def test_a_stopped_answer_is_tried_again(open_page: Open) -> None:
    endless = Agent("endless")

    @endless.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        while True:
            message.append_text("and ")
            await asyncio.sleep(0.1)

    with (
        served(create_app(endless, open_list=True, page=True)) as url,
        open_page(url=f"{url}/", viewport=WIDE) as page,
    ):
        page.say("Count the bees")
        page.growth(steps=2)
        page.click(part("composer-stop"))
        page.rest()
        page.click(f"{part('unfinished')} >> {part('message-retry')}")
        page.wait(f"{part('run-status')}[data-status='running']")
        page.growth(steps=2)
        page.click(part("composer-stop"))
        page.rest()
        assert [message["role"] for message in page.state()["messages"]] == ["user", "assistant"]


def test_the_keyboard_reaches_everything_and_comes_back_from_what_it_opened(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        answered(page, "what is a cursor?")

        page.do("press", selector=part("thread-menu"), key="Enter")  # a popover
        page.wait(part("export"))
        page.do("press", key="Tab")
        focused(page, "export")
        page.do("press", key="Escape")
        page.wait(part("export"), state="hidden")
        focused(page, "thread-menu")

        delete = f"{part('thread')}[data-thread='{page.thread}'] button"  # a dialog
        page.do("press", selector=delete, key="Enter")
        page.wait(part("delete-dialog"))
        page.do("press", key="Escape")
        page.wait(part("delete-dialog"), state="hidden")
        focused(page, "Delete ")

        page.do("press", selector=part("message-edit"), key="Enter")  # a field in place of a message
        page.wait(part("edit-input"))
        page.do("press", selector=part("edit-input"), key="Escape")
        page.wait(part("edit-input"), state="detached")
        focused(page, "message-edit")

        page.do("press", selector=part("tab-state"), key="ArrowRight")  # a view of the inspector, and what is in it
        page.do("press", key="Tab")
        page.do("press", selector=f"{part('operation-group')} >> nth=0 >> button", key="Enter")
        page.do("press", selector=f"{part('operation')} >> nth=0 >> button", key="Enter")
        page.wait(part("past-banner"))
        page.do("press", selector=part("back-to-now"), key="Enter")
        page.wait(part("past-banner"), state="detached")


def test_the_list_of_threads_over_the_page_takes_the_keyboard_and_gives_it_back(open_page: Open) -> None:
    with open_page(viewport=TABLET) as page:
        page.do("press", selector=part("threads-toggle"), key="Enter")
        page.wait(part("threads"))
        focused(page, "thread-search")
        assert page.script("() => document.querySelector('.middle').inert")
        page.do("press", key="Escape")
        page.wait(part("threads"), state="detached")
        focused(page, "threads-toggle")


def test_a_sub_agent_speaks_within_its_call(open_page: Open) -> None:
    boss = Agent("boss")

    @boss.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        call = run.messages.assistant().add_tool_call("ask_scout", {"about": command.message.text})
        call.messages.user("Where are the bees?")
        call.messages.assistant().append_text("By the **lime** tree.")
        call.set_result("found")

    with served(create_app(boss, open_list=True, page=True)) as url, open_page(url=f"{url}/", viewport=WIDE) as page:
        page.say("bees")
        page.wait(f"{part('sub-agent')} {AGENT} strong", text="lime")
        page.wait(f"{part('sub-agent')} {USER}", text="Where are the bees?")
        page.rest()
        page.shoot("sub-agent")


def test_one_of_several_agents_is_chosen_for_a_new_thread(open_page: Open) -> None:
    def saying(name: str) -> Agent:
        agent = Agent(name)

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            run.messages.assistant().append_text(f"I am {name}.")

        @agent.on(f"ring-{name}")
        async def ring(run: Run, command: object) -> None: ...

        return agent

    agents = [saying("owl"), saying("fox")]
    with served(create_app(agents, open_list=True, page=True)) as url, open_page(url=f"{url}/", viewport=WIDE) as page:
        page.wait(part("agent"))
        page.shoot("agents")
        page.do("press", selector=part("agent"), key="ArrowDown")
        page.arrive(f"() => document.querySelector('{part('agent')}').value === 'fox'")
        answered(page, "Hello")
        assert page.reply() == "I am fox."
        page.do("reload")
        page.open("commands")
        page.wait(form("ring-fox"))
        answered(page, "And now?", 1)
        assert page.reply() == "I am fox."
