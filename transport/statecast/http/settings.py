"""Checks of an app's settings, made in `create_app` so that mistakes show at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, get_args

from statecast.files import Uploads
from statecast.stores import Store, store_of
from statecast.stores.here import store_here
from statecast.threads import Limits, OnDisconnect
from statecast_agents import Agent
from statecast_agents.settings import check_choice, check_function, check_switch, check_texts

from .cloud import Cloud
from .traces import Traces

__all__ = ["check_hosts", "check_kinds", "check_origins", "check_page", "named_agents", "opened_store"]

#: As browsers write it in `Origin`: lower case, and nothing behind the host and the port.
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#@\s:A-Z\[\]]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_HOST: Final = re.compile(r"(?:\*\.)?[^/?#@\s:*\[\]]*[^/?#@\s:*\[\].]")

#: Characters of a token, at least.
TOKEN: Final = 16

#: Ports that browsers leave out.
_USUAL: Final = {"http": ":80", "https": ":443"}


def named_agents(agents: Agent | Sequence[Agent]) -> Mapping[str, Agent]:
    """Return agents by name.

    Raises:
        TypeError: One is no agent.
        ValueError: There is none, or two have the same name.
    """
    several = list(agents) if isinstance(agents, Collection) else [agents]
    for agent in several:
        if not isinstance(agent, Agent):
            raise TypeError(f"expected an Agent, or a list of them, got {agent!r}")
    named = {agent.name: agent for agent in several}
    if not several or len(named) != len(several):
        names = [agent.name for agent in several]
        raise ValueError(f"expected agents with different names, got {names}")
    return named


def check_origins(origins: Any) -> None:
    """Check origins of pages.

    Raises:
        TypeError: They are no list of texts.
        ValueError: One would never be what a browser calls an origin.
    """
    for origin in check_texts("cors_origins", origins):
        scheme = origin.partition("://")[0]
        usual = _USUAL.get(scheme)
        if origin != "*" and (_ORIGIN.fullmatch(origin) is None or (usual and origin.endswith(usual))):
            raise ValueError(
                'expected cors_origins as browsers name them, such as "https://www.example.com" or '
                f'"http://localhost:5173", or "*"; got {origin!r}'
            )


def check_hosts(hosts: Any) -> None:
    """Check host names.

    Raises:
        TypeError: They are no list of texts.
        ValueError: One is no name of a host.
    """
    for host in check_texts("allowed_hosts", hosts):
        if host != "*" and _HOST.fullmatch(host) is None and not _is_address(host):
            raise ValueError(
                'expected allowed_hosts as names without scheme, port and path, such as "chat.example.com", '
                f'"*.example.com" or "*"; got {host!r}'
            )


def opened_store(store: Any) -> Store:
    """Return a store, or open the one that a URL names.

    Raises:
        TypeError: It is no store.
        ValueError: The URL names none.
    """
    if isinstance(store, str):
        return store_here(store_of(store))
    if not all(callable(getattr(store, name, None)) for name in ("open", "commit", "aclose")):
        raise TypeError(f"expected a store, or the URL of one, got {store!r}")
    return store_here(store)  # it has what stores have


def check_kinds(
    *,
    limits: Any,
    on_disconnect: Any,
    identify: Any,
    open_list: Any,
    cloud: Any,
    uploads: Any,
    metrics: Any,
    traces: Any,
    debug: Any,
) -> None:
    """Check the types of settings.

    Raises:
        TypeError: Something is of another.
        ValueError: `on_disconnect` is none of its choices.
    """
    for name, value in (("open_list", open_list), ("debug", debug)):
        check_switch(name, value)
    for name, value, kind in (("limits", limits, Limits), ("uploads", uploads, Uploads)):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"expected {name} to be {kind.__name__}(…), got {value!r}")
    if not isinstance(cloud, bool | Cloud):
        raise TypeError(f"expected cloud to be True, False or Cloud(…), got {cloud!r}")
    if not isinstance(metrics, bool) and (not isinstance(metrics, str) or len(metrics) < TOKEN):
        got = f"a token of {len(metrics)}" if isinstance(metrics, str) else repr(metrics)
        raise TypeError(f"expected metrics to be True, False or a token of at least {TOKEN} characters, got {got}")
    if not isinstance(traces, bool | Traces):
        raise TypeError(f"expected traces to be True, False or Traces(…), got {traces!r}")
    if identify is not None:
        check_function("identify", identify)
    check_choice("on_disconnect", on_disconnect, get_args(OnDisconnect))


def check_page(page: bool | str | PathLike[str] | None) -> None:
    """Check that a page's folder exists.

    Raises:
        TypeError: It is neither a path nor a switch.
        ValueError: It is not there.
    """
    if page is None or isinstance(page, bool):
        return
    if not isinstance(page, str | PathLike):
        raise TypeError(f"expected page to be True, False or the path of a folder, got {page!r}")
    if not Path(page).is_dir():
        raise ValueError(f"expected page to be a folder with an index.html, got {str(page)!r}, which is not a folder")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
