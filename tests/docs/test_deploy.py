"""The files in `deploy/`: they parse, and their options are options of the command line."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types here

from statecast import Connections, Limits
from statecast.cli.commands import parser
from statecast.http import GRACE
from statecast.server import STOPPING
from statecast_agents import Agent

DEPLOY = Path(__file__).parents[2] / "deploy"

#: Seconds that a process takes to stop at most.
STOPS_WITHIN = GRACE + Agent().cancel_grace + Agent().cancel_seconds + STOPPING


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text()


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all(text_of(name)))


def entry_point() -> list[str]:
    (line,) = re.findall(r"^ENTRYPOINT (\[.*\])$", text_of("Dockerfile"), re.MULTILINE)
    words: list[str] = json.loads(line)
    return words


def container() -> Any:
    (deployment, *_) = documents("kubernetes.yaml")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def unit() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names are as systemd has them
    parser.read_string(text_of("statecast.service"))
    return parser["Service"]


def compose_servers() -> list[Any]:
    (compose,) = documents("compose.yaml")
    return [service for name, service in compose["services"].items() if name.startswith("server")]


def command_lines() -> dict[str, list[str]]:
    """Return what each file runs."""
    return {
        "Dockerfile": entry_point(),
        "compose.yaml": [*entry_point(), *compose_servers()[0]["command"]],
        "kubernetes.yaml": [*entry_point(), *container()["args"]],
        "statecast.service": shlex.split(unit()["ExecStart"]),
    }


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes.yaml", "statecast.service"])
def test_a_file_runs_the_command_line_with_options_that_it_has(name: str) -> None:
    program, *arguments = command_lines()[name]
    options = parser().parse_args(arguments)
    assert (Path(program).name, options.command, options.target) == ("statecast", "serve", ["my_agent:agent"])


def test_servers_get_longer_to_stop_than_they_take() -> None:
    seconds = [int(service["stop_grace_period"].removesuffix("s")) for service in compose_servers()]
    seconds.append(int(unit()["TimeoutStopSec"]))
    pod = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]
    waits = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    seconds.append(pod["terminationGracePeriodSeconds"] - waits)
    assert all(given > STOPS_WITHIN for given in seconds), (seconds, STOPS_WITHIN)


def test_probes_ask_for_what_is_served() -> None:
    paths = {probe: container()[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}
    assert paths == {"readinessProbe": "/health/ready", "livenessProbe": "/health/live"}
    assert all("/health/live" in service["healthcheck"]["test"][-1] for service in compose_servers())


def test_several_processes_share_a_store() -> None:
    for name in ("compose.yaml", "kubernetes.yaml"):
        stores = [word for word in command_lines()[name] if word.startswith("--store=")]
        assert [store.startswith("--store=postgresql://") for store in stores] == [True]
    assert len(compose_servers()) > 1
    assert documents("kubernetes.yaml")[0]["spec"]["replicas"] > 1


def test_the_proxy_fits_the_servers_limits() -> None:
    found = dict(re.findall(r"^\s*(\w+) (\d+)[sm];", text_of("nginx.conf"), re.MULTILINE))
    assert int(found["keepalive_timeout"]) < Connections().idle_seconds
    assert int(found["proxy_read_timeout"]) > Limits().heartbeat_seconds
    assert int(found["client_max_body_size"]) * 2**20 >= Limits().body
    assert "proxy_buffering off;" in text_of("nginx.conf")


def test_every_file_is_described() -> None:
    described = set(re.findall(r"^\| `([^`]+)` \|", text_of("README.md"), re.MULTILINE))
    assert described == {path.name for path in DEPLOY.iterdir()} - {"README.md"}
