"""Server command of the demo page, until it is interrupted."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Annotated

from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.ranges import Range, in_range
from ltm_pyro.runs.arguments import Argument, Checkpoint, RunFolder, TrustCode
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.serving.app import make_app
from ltm_pyro.serving.demo_service import DemoService
from ltm_pyro.serving.server import server_config

LOOPBACK = ("127.0.0.1", "localhost")
EVERYWHERE = ("0.0.0.0", "::")


@in_range
def serve(
    run: RunFolder,
    *,
    port: Annotated[int, Range(0, 65535)] = 8000,
    host: str = "127.0.0.1",
    names: Annotated[Sequence[str], Argument(metavar="NAME")] = (),
    checkpoint: Checkpoint = "best",
    trust_code: TrustCode = False,
) -> None:
    """Serve a demo page of a run's thoughts.

    Args:
        port: port to listen on; 0 takes a free one.
        host: address to listen on; an address other than loopback admits other machines.
        names: further host names of the page.
        run, checkpoint, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: if the port is in use, the address is not this machine's, or a package is missing.
    """
    uvicorn = import_extra("uvicorn", "serve", "ltm serve")
    hosts = hosts_of(host, names)
    opened = open_run(run, trust_code)
    components, _ = load(opened, checkpoint)
    separator = opened.config.data.separator if opened.config.data.prompt else ""
    service = DemoService(opened.folder.resolve().name, components, opened.tokenizer, separator)
    app = make_app(service, hosts)
    listening = listen(host, port)
    with listening:
        actual_port = listening.getsockname()[1]
        say(f"http://{host if host != '0.0.0.0' else hosts[-1]}:{actual_port}  (Ctrl-C ends it)")
        if not _is_loopback(host):
            say("The page is open to other machines: anyone who can reach this machine can use its processor.")
        uvicorn.Server(server_config(app)).run(sockets=[listening])


def hosts_of(host: str, names: Sequence[str]) -> list[str]:
    """Host names that requests may have."""
    if host in EVERYWHERE and not names:
        raise InputError(f"--host {host} listens on all addresses: give --names, the host names of this machine")
    return list(dict.fromkeys([*LOOPBACK, *([] if host in EVERYWHERE else [host]), *names]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Listening socket.

    Raises:
        InputError: if the port is in use, or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on {host}:{port}: {error}. Give another --port, 0 for a free one") from error
