"""The rules of the specification have numbers that readers can cite: each page its letter, from 1 on, without a gap."""

from __future__ import annotations

import re

from tests.docs.pages import PAGES, PROTOCOL

_RULE = re.compile(r"^\*\*([A-Z])(\d+)\.\*\*", re.MULTILINE)


def test_the_rules_of_each_page_are_numbered_in_order_with_the_letter_that_the_index_names() -> None:
    (index,) = (page for page in PROTOCOL.pages if page.path.name == "index.md")
    letters = dict(re.findall(r"^\| \[[^]]+\]\((\S+)\) \|.*\| ([A-Z]) \|$", index.text, re.MULTILINE))
    numbers = {page.path.name: _RULE.findall(page.prose) for page in PROTOCOL.pages}

    assert len(set(letters.values())) == len(letters) == len(PROTOCOL.pages) - 2  # all but the index and the errors
    for name, letter in letters.items():
        assert numbers[name] == [(letter, str(number)) for number in range(1, len(numbers[name]) + 1)], name
        assert numbers[name] != [], name


def test_every_rule_that_a_page_cites_is_there() -> None:
    rules = {"".join(rule) for page in PROTOCOL.pages for rule in _RULE.findall(page.prose)}
    cited = {match for page in PAGES for match in re.findall(r"\b[Rr]ules? ([A-Z]\d+)\b", page.prose)}

    assert cited - rules == set()
