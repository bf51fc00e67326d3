"""What the inspector shows beside the chat: tables, operations, runs, and second clients."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .demo_page import AGENT, Demo, Page, part

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}


def test_operations_are_grouped_by_what_they_changed(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("operations")
        text = page.state()["messages"][-1]["parts"][0]["text"]
        group = f'{part("operation-group")}[data-type="append-text"]'
        page.wait(f"{group} .value", text="words")
        # The first words may have come with the part itself.
        shown = int(page.texts(f"{group} .value")[-1].removeprefix("+").removesuffix(" words"))
        assert len(text.split()) - 2 <= shown <= len(text.split())
        page.click(f"{group} >> nth=0 >> button")
        page.wait(part("operation"))
        page.shoot("operations")
        assert [size for size in page.texts(f"{part('sizes')} dd") if not size[0].isdigit()] == []


def test_uniform_rows_of_the_state_are_a_table_with_a_chart(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        for name, text in {"one.txt": "a " * 10, "two.txt": "a " * 20}.items():
            page.command("paste-text", name=name, text=text)
            page.rest()
        page.open("state")
        table = f'{part("data-table")}[data-table="documents"]'
        page.wait(f"{table} td", text="two.txt")
        page.wait(f"{table} .bar-value", text="20")
        page.shoot("table")


def test_each_run_has_its_times_and_a_failed_one_is_tried_again(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("now fail")
        page.wait(part("run-error"))
        page.open("runs")
        failed = f'{part("run")}[data-status="failed"]'
        page.wait(failed, text="demo_failed")
        page.wait(f"{failed} dt", text="first operation")
        page.shoot("runs-failed")
        page.click(f"{failed} >> {part('run-retry')}")
        page.watch(f"() => document.querySelectorAll('{part('run')}').length === 2 || null")
        page.rest("failed")


@pytest.mark.parametrize("protocol", ["ui-message-stream", "ag-ui", "events", "snapshots"])
def test_a_second_client_reads_the_same_answer_in_another_protocol(open_page: Open, protocol: str) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: what is a cursor?")
        page.growth(steps=2)
        page.open("clients")
        page.click(part(f"client-{protocol}"))
        page.watch(f"""() => document.querySelector('{part("second-answer")}').textContent.length > 40 || null""")
        page.shoot(f"client-{protocol}")
        page.click(part("composer-stop"))
        page.rest()
        text = json.dumps(page.state()["messages"][-1]["parts"][0]["text"])
        page.watch(f"""() => document.querySelector('{part("second-answer")}').textContent === {text} || null""")


def test_a_reload_in_mid_run_is_one_click(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("slow: what is a cursor?")
        page.growth(steps=3)
        run = page.server(f"status/{page.thread}")["runId"]
        page.open("clients")
        page.click(part("reload"))
        page.growth(steps=3)
        assert page.server(f"status/{page.thread}")["runId"] == run
        page.click(part("composer-stop"))
        page.rest()


def test_a_killed_server_is_back_and_nothing_is_lost(open_page: Open, chromium: str) -> None:
    with Demo("sqlite:///demo.db") as demo, open_page(url=f"{demo.url}/", viewport=WIDE) as page:
        page.expect_complaint("ERR_|status of 50")
        page.say("slow: what is a cursor?")
        page.growth(steps=4)
        page.open("clients")
        page.click(part("restart"))
        page.wait(f"{part('trial')}[data-done]", text="nothing was lost")
        page.shoot("restarted")
        page.rest("failed")
        page.watch_until_it_shows_the_servers_messages()


def test_a_killed_server_that_keeps_nothing_has_lost_the_thread(open_page: Open, chromium: str) -> None:
    with Demo() as demo, open_page(url=f"{demo.url}/", viewport=WIDE) as page:
        page.expect_complaint("ERR_|status of (404|50)")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("clients")
        page.click(part("restart"))
        page.wait(f"{part('trial')}[data-done]", text="does not have this thread")


def test_the_line_of_a_chart_is_clear_of_its_numbers(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("state")
        page.wait(".line .line-high")
        box = "document.querySelector('.line %s').getBoundingClientRect()"
        for number in (".line-high", ".line-low"):
            assert page.script(f"() => {box % number}.right <= {box % 'svg'}.left")


@pytest.mark.parametrize(("choice", "said"), [("approve", "is booked"), ("deny", "Then I book nothing.")])
def test_a_trip_is_booked_only_if_the_user_approves(open_page: Open, choice: str, said: str) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("Plan a weekend trip for 400 euros")
        page.wait(f"{part('thread')}[data-thread='{page.thread}']", text="Plan a weekend trip")
        page.wait(f"{part('question')}[data-kind='approval']", text="Shall I book")
        page.rest("waiting")
        page.shoot("approval")
        page.click(part(f"question-{choice}"))
        page.wait(f"{AGENT} .text", text=said)
        page.rest()
        page.wait(part("question"), state="detached")
        page.assert_shows_the_servers_messages()
        state = page.state()
        assert ("booking" in state, "choice" in state) == (choice == "approve", False)


def test_an_empty_thread_offers_what_the_agent_suggests(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.wait(part("suggestion"))
        page.shoot("suggestions")
        [last] = page.texts(f"{part('suggestion')} >> nth=2 >> strong")
        page.click(f"{part('suggestion')} >> nth=2")
        page.wait('[data-role="user"]', text=last)
