"""The demo page, as it is shipped, on a real `statecast demo` in a real Chromium."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from .demo_page import AGENT, STATUS, USER, Demo, Page, form, part, row

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}

#: Whether a request with that in its address has ended.
_FETCHED = "() => performance.getEntriesByType('resource').some(({ name }) => name.includes('%s')) || null"

ZOO = "The zebra of the northern zoo is called Ottilie, and she eats three buckets of carrots each day."


def assert_grows(lengths: list[int]) -> None:
    assert all(shorter < longer for shorter, longer in itertools.pairwise(lengths)), lengths


def test_a_reply_grows_word_by_word(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.shoot("welcome")
        page.say("slow: what is a cursor?")
        assert_grows(page.growth(steps=8))
        page.shoot("growing")
        page.open("operations")
        page.wait(f'{part("operation-group")}[data-type="append-text"]', text="words")
        page.wait(f'{part("plan")} [data-status="running"]')
        page.click(part("composer-stop"))
        page.rest()


def test_a_finished_reply_is_what_the_server_has(open_page: Open) -> None:
    with open_page() as page:
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.assert_shows_the_servers_messages()
        page.wait(f'{part("plan")} [data-status="done"] >> nth=2')


def test_reasoning_is_shown_while_it_grows(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: please think about cursors, readers, snapshots, revisions and epochs")
        assert_grows(page.growth(".reasoning p", steps=4))
        page.shoot("thinking")
        page.growth(steps=1)
        assert "cursors" in page.texts(part("reasoning"))[0]
        page.click(part("composer-stop"))
        page.rest()


def test_a_command_from_its_form_changes_the_title(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.command("set-title", title="The first title")
        page.wait(part("state-title"), text="The first title")
        page.rest()
        page.wait(form("set-title"), text="Sent")
        assert page.state()["title"] == "The first title"
        page.open("operations")
        page.wait(f"{part('operation-group')}[data-type='append-text']", text="title")  # it was empty


def test_a_place_in_the_state_lights_up_when_an_operation_changes_it(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.command("set-title", title="The first title")
        page.wait(part("state-title"), text="The first title")
        page.rest()
        page.open("state")
        page.wait(row("title"), text="The first title")
        # What arrived is lit a moment after it is shown; until then, that nothing is lit says nothing.
        page.watch("() => document.querySelector('[data-changed]') === null || null")
        page.collect_lit_places()
        page.post({"type": "set-title", "title": "All about readers"})
        page.wait(row("title"), text="All about readers")
        page.wait(part("state-title"), text="All about readers")
        page.watch("() => window.litPlaces.size || null")
        page.shoot("title-changed")
        page.rest()
        assert page.lit_places() == ["title"]


def test_a_form_refuses_what_its_schema_forbids(open_page: Open) -> None:
    with open_page() as page:
        page.open("commands")
        page.click(f"{form('set-title')} button")
        assert page.script(f"() => document.querySelector('{form('set-title')} [name=title]').matches(':invalid')")
        assert page.texts(f"{form('set-title')} [role=status]") == [""]


def test_a_pasted_text_is_answered_from(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.command("paste-text", name="zoo.txt", text=ZOO)
        page.open("state")
        page.wait(row("documents/0/name"), text="zoo.txt")
        page.rest()
        page.say("What is the zebra called?")
        page.wait(AGENT, text="Ottilie")
        page.rest()
        page.wait(".source", text="zoo.txt")
        page.shoot("answered-from-a-pasted-text")
        page.assert_shows_the_servers_messages()


def test_a_question_of_the_agent_is_answered_and_the_run_goes_on(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("use a tool")
        page.wait(part("question"))
        page.rest("waiting")
        page.shoot("question")
        page.fill(f"{part('question')} input", "the operations")
        page.click(part("question-submit"))
        page.wait(f"{part('tool-call')}[data-status='done']", text="the operations")
        page.wait(f"{AGENT} .text", text='You said "the operations"')
        page.rest()
        page.shoot("question-answered")
        page.assert_shows_the_servers_messages()
        call = page.state()["messages"][1]["parts"][1]
        assert (call["toolName"], call["result"], call["isError"]) == ("ask_user", "the operations", False)


MARKDOWN = """# Steps of `f`
- **first *of* all**
  - _inner_ snake_case_name 2 * 3 * 4 ~~old~~
1. one
> quoted

| city | euros |
|---|---:|
| Bonn | `90` |

```html
<b>- no item</b>

```
<img src=x> [safe](https://example.org/) [not](javascript:alert(1)) (https://example.org/a_b)."""


def test_markdown_is_drawn_in_blocks_and_its_text_stays_whole(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say(MARKDOWN)
        page.wait(f"{AGENT} .text")
        page.rest()
        page.assert_shows_the_servers_messages()
        for selector, texts in {
            "[role=heading]": ["# Steps of `f`\n"],
            "[role=heading] code": ["`f`"],
            "[role=list] > .item": ["- **first *of* all**\n", "  - _inner_ snake_case_name 2 * 3 * 4 ~~old~~\n"],
            '.item[aria-level="2"]': ["  - _inner_ snake_case_name 2 * 3 * 4 ~~old~~\n"],
            "strong": ["# Steps of `f`\n", "**first *of* all**"],
            "em": ["*of*", "_inner_"],
            "del": ["~~old~~"],
            ".quotation": ["> quoted\n"],
            "[role=columnheader]": ["| city |", " euros |\n|---|---:|\n"],
            "[role=cell] code": ["`90`"],
            ".fence": ["```html\n<b>- no item</b>\n\n```\n"],
            ".text a": ["[safe](https://example.org/)", "https://example.org/a_b"],
        }.items():
            found = f"[...document.querySelectorAll('{USER} {selector}')]"
            assert page.script(f"() => {found}.map((one) => one.textContent)") == texts
        assert page.script(f"() => document.querySelectorAll('{USER} img').length") == 0
        # Two lines of code, the second of them empty, and no other for the fences.
        height = "() => { const { lineHeight, paddingTop } = getComputedStyle(document.querySelector('.fence'));"
        height += " const inside = document.querySelector('.fence').clientHeight - 2 * parseFloat(paddingTop);"
        assert page.script(f"{height} return Math.round(inside / parseFloat(lineHeight)); }}") == 2
        page.shoot("markdown")


def test_a_question_that_a_new_message_passed_over_is_at_work_no_more(open_page: Open) -> None:
    with open_page() as page:
        page.say("use a tool")
        page.wait(part("question"))
        page.rest("waiting")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} >> nth=1")
        page.rest()
        page.wait(part("question"), state="detached")
        page.wait(f"{part('tool-call')}[data-status='no answer']")


def test_a_failed_run_says_why_until_the_next_one(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("now fail")
        page.wait(part("run-error"), text="The demo failed, because the message asked it to.")
        page.rest("failed")
        page.shoot("error")
        page.say("what is a cursor?")
        page.wait(part("run-error"), state="detached")
        page.rest()
        page.assert_shows_the_servers_messages()


def test_stop_ends_the_run_on_the_server_and_the_page_shows_its_state(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: what is a cursor?")
        page.growth(steps=4)
        page.click(part("composer-stop"))
        page.wait(f'{part("plan")} [data-status="stopped"]')
        page.rest()
        page.wait(f"{part('unfinished')}[data-reason='cancelled']", text="Stopped")
        status = page.server(f"status/{page.thread}")
        assert (status["status"], status["isRunning"]) == ("cancelled", False)
        page.assert_shows_the_servers_messages()
        page.shoot("stopped")
        report = page.report()
    assert [entry["status"] for entry in report.network if entry["url"].endswith("/cancel")] == [200]


def test_a_message_written_during_a_run_waits_in_the_server(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("what is a cursor, and think slow")
        page.wait(f"{AGENT} .reasoning")
        page.say("fail")
        page.wait(f"{USER}[data-queued]", text="fail")
        page.command("set-title", title="Queued as well")
        page.wait(form("set-title"), text="Queued")
        page.shoot("queued")
        page.do("reload")
        page.wait(f"{USER}[data-queued]", text="fail")
        page.click(part("composer-stop"))
        page.wait(part("state-title"), text="Queued as well")
        page.rest()
        page.assert_shows_the_servers_messages()


def test_two_messages_in_a_row_are_both_answered(open_page: Open) -> None:
    with open_page() as page:
        page.say("think about cursors")
        page.say("think about readers")
        page.wait(f"{AGENT} >> nth=1")
        page.watch(
            f"""() => document.querySelectorAll('{USER}[data-pending]').length === 0
                && document.querySelector('{STATUS}').dataset.status === 'idle' || null"""
        )
        page.assert_shows_the_servers_messages()
        assert [message["role"] for message in page.state()["messages"]] == ["user", "assistant"] * 2


def test_an_edit_replaces_what_follows(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        for number, text in enumerate(["first question", "second question"]):
            page.say(text)
            page.wait(f"{AGENT} >> nth={number}")
            page.rest()
        page.edit(1, "the second question again")
        page.wait(f"{USER}:not([data-pending])", text="again")
        page.rest()
        assert page.texts(f"{USER} .text") == ["first question", "the second question again"]
        page.assert_shows_the_servers_messages()

        page.edit(0, "a new beginning")
        page.wait(f"{USER}:not([data-pending])", text="a new beginning")
        page.rest()
        page.shoot("edited")
        assert page.texts(f"{USER} .text") == ["a new beginning"]
        page.assert_shows_the_servers_messages()
        assert len(page.state()["messages"]) == 2


def test_a_reload_in_the_middle_of_a_reply_goes_on_with_the_live_run(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: what is a cursor?")
        before = page.growth(steps=6)
        run = page.server(f"status/{page.thread}")["runId"]
        page.do("reload")
        after = page.growth(steps=4)
        assert_grows([before[-1] - 1, *after])
        page.shoot("reloaded")
        status = page.server(f"status/{page.thread}")
        assert (status["runId"], status["status"]) == (run, "running")
        page.click(part("composer-stop"))
        page.rest()
        report = page.report()
    posted = [entry for entry in report.network if entry["method"] == "POST" and "/assistant" in entry["url"]]
    assert len(posted) == 1


def test_a_reload_at_rest_brings_the_thread_back(open_page: Open) -> None:
    with open_page() as page:
        page.command("set-title", title="Here to stay")
        page.wait(part("state-title"), text="Here to stay")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.do("reload")
        page.wait(part("state-title"), text="Here to stay")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.assert_shows_the_servers_messages()


def test_a_second_tab_follows_the_same_run_and_can_stop_it(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: what is a cursor?")
        page.growth(steps=3)
        page.do("tab", name="second", url=page.script("() => location.href"))
        assert_grows(page.growth(steps=4))
        page.shoot("second-tab")
        page.click(part("composer-stop"))
        page.rest()
        assert page.server(f"status/{page.thread}")["status"] == "cancelled"
        text = page.state()["messages"][-1]["parts"][0]["text"]
        page.watch(f"() => document.body.innerText.includes({text.strip()!r}) || null")
        page.do("tab", name="first")
        page.rest()
        assert page.reply() == text


def test_a_tab_at_rest_hears_of_a_run_that_another_one_starts(open_page: Open) -> None:
    with open_page() as page:
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.do("tab", name="second", url=page.script("() => location.href"))
        page.wait(f"{AGENT} .text")
        page.rest()
        page.do("tab", name="first")
        page.say("slow: what is a reader?")
        page.growth(steps=2)
        page.do("tab", name="second")
        page.wait(f"{USER} >> nth=1")
        assert_grows(page.growth(steps=4))
        page.click(part("composer-stop"))
        page.rest()
        page.do("tab", name="first")
        page.rest()


def test_another_browser_follows_live_and_can_stop_the_run(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.command("set-title", title="Shared")
        page.wait(part("state-title"), text="Shared")
        page.rest()
        with open_page(viewport=WIDE, thread=page.thread) as other:
            other.wait(part("state-title"), text="Shared")
            other.rest()
            page.say("slow: what is a cursor?")
            assert_grows(other.growth(steps=4))
            other.wait(f'{STATUS}[data-status="running"]')
            other.shoot("another-browser")
            other.click(part("composer-stop"))
            page.rest()
            other.rest()
            assert page.server(f"status/{page.thread}")["status"] == "cancelled"
            for one in (page, other):
                one.watch_until_it_shows_the_servers_messages()

            other.say("slow: what is a reader?")
            page.wait(f"{AGENT} >> nth=1 >> .text")
            assert_grows(page.growth(steps=4))
            page.click(part("composer-stop"))
            other.rest()
            page.rest()
            for one in (page, other):
                one.watch_until_it_shows_the_servers_messages()


def test_a_question_that_another_browser_answers_is_answered_everywhere(open_page: Open) -> None:
    with open_page() as page:
        page.say("use a tool")
        page.wait(part("question"))
        page.rest("waiting")
        with open_page(thread=page.thread) as other:
            other.wait(part("question"))
            other.fill(f"{part('question')} input", "the operations")
            other.click(part("question-submit"))
            for one in (page, other):
                one.wait(f"{part('tool-call')}[data-status='done']", text="the operations")
                one.wait(f'{part("plan")} [data-status="done"] >> nth=2')
                one.rest()
                one.watch_until_it_shows_the_servers_messages()


def test_a_failure_elsewhere_is_told_here(open_page: Open) -> None:
    with open_page() as page:
        page.command("set-title", title="Shared")
        page.wait(part("state-title"), text="Shared")
        page.rest()
        with open_page(thread=page.thread) as other:
            other.wait(part("state-title"), text="Shared")
            other.rest()
            page.say("now fail")
            other.wait(part("run-error"), text="The demo failed, because the message asked it to.")
            page.rest("failed")
            other.rest("failed")
            page.do("reload")
            page.wait(part("run-error"), text="The demo failed, because the message asked it to.")


_HIDE = """
() => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isHidden });
  window.show = (shown) => { window.isHidden = !shown; document.dispatchEvent(new Event("visibilitychange")); };
  window.show(false);
}
"""


def test_a_page_that_nobody_sees_holds_no_connection_and_catches_up_when_it_is_seen(open_page: Open) -> None:
    with open_page() as page:
        page.command("set-title", title="Before")
        page.wait(part("state-title"), text="Before")
        page.rest()
        with open_page(thread=page.thread) as other:
            other.wait(part("state-title"), text="Before")
            other.rest()
            other.script(_HIDE)
            other.watch(_FETCHED % "/events")
            page.command("set-title", title="After")
            page.wait(part("state-title"), text="After")
            page.rest()
            assert other.texts(part("state-title")) == ["Before"]
            other.script("() => window.show(true)")
            other.wait(part("state-title"), text="After")
            other.rest()


def test_a_page_goes_on_by_itself_when_its_server_was_killed_and_is_back(open_page: Open, chromium: str) -> None:
    with Demo("sqlite:///demo.db") as demo, open_page(url=f"{demo.url}/", viewport=WIDE) as page:
        page.expect_complaint("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET")
        page.say("slow: what is a cursor?")
        page.growth(steps=4)
        demo.kill()
        page.wait(part("run-error"), text="Reconnecting")
        page.shoot("reconnecting")
        demo.start()
        page.wait(part("run-error"), text="The server stopped before the run had ended.")
        page.rest("failed")
        page.shoot("interrupted")
        page.watch_until_it_shows_the_servers_messages()
        assert page.server(f"status/{page.thread}")["status"] == "interrupted"
        page.say("what is a reader?")
        page.wait(part("run-error"), state="detached")
        page.wait(f"{AGENT} >> nth=1")
        page.rest()
        page.watch_until_it_shows_the_servers_messages()


def test_a_page_at_rest_hears_what_happens_after_a_restart(open_page: Open, chromium: str) -> None:
    with Demo("sqlite:///demo.db") as demo, open_page(url=f"{demo.url}/") as page:
        page.expect_complaint("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET")
        page.command("set-title", title="Here to stay")
        page.wait(part("state-title"), text="Here to stay")
        page.rest()
        demo.stop()
        page.wait(part("run-error"), text="Reconnecting")
        demo.start()
        page.wait(part("run-error"), state="detached")
        page.rest()
        with open_page(url=f"{demo.url}/", thread=page.thread) as other:
            other.wait(part("state-title"), text="Here to stay")
            other.rest()
            other.command("set-title", title="And to change")
            page.wait(part("state-title"), text="And to change")
            page.rest()


def test_a_server_that_forgot_the_thread_gets_it_back_with_the_next_message(open_page: Open, chromium: str) -> None:
    with Demo() as demo, open_page(url=f"{demo.url}/") as page:
        page.expect_complaint("ERR_|status of 404")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        demo.stop()
        demo.start()
        page.wait(part("run-error"), text="The server no longer has this thread.")
        page.say("what is a reader?")
        page.wait(f"{AGENT} >> nth=1")
        page.rest()
        page.watch_until_it_shows_the_servers_messages()
        assert len(page.state()["messages"]) == 4


def test_a_new_thread_is_empty_and_leaves_the_old_one_alone(open_page: Open) -> None:
    with open_page() as page:
        page.command("set-title", title="The old one")
        page.wait(part("state-title"), text="The old one")
        page.rest()
        old = page.thread
        page.click(part("new-thread"))
        page.wait(".welcome")
        page.say("Please think first")
        page.wait(f"{AGENT} .text")
        page.rest()
        assert page.thread != old
        assert page.server(f"threads/{old}/state")["state"]["messages"] == []
        page.assert_shows_the_servers_messages()


def test_a_message_that_finds_no_server_goes_out_when_it_is_back(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.expect_complaint("ERR_INTERNET_DISCONNECTED")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.do("offline")
        page.say("is anybody there?")
        page.wait(f"{USER}[data-pending]", text="is anybody there?")
        page.shoot("offline")
        page.do("offline", offline=False)
        page.wait(f"{AGENT} >> nth=1")
        page.rest()
        page.assert_shows_the_servers_messages()
        assert len(page.state()["messages"]) == 4
