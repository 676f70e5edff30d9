"""`ltm serve`: a page to play with a run's thoughts."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

LOOPBACK = ("127.0.0.1", "localhost")


def main(words: Sequence[str]) -> int:
    """Serve until interrupted; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, port=0)
    if options.port > 65535:
        raise InputError(f"--port {options.port}: expected 65535 or less")
    uvicorn = import_extra("uvicorn", "serve", "ltm serve")
    from ltm_pyro.serving import Desk, make_app, server_config

    hosts = _hosts(options.host, options.names)
    run = open_run(options.run, options.trust_code)
    blueprint, _ = load(run, options.checkpoint)
    app = make_app(Desk(run.folder.resolve().name, blueprint, run.tokenizer), hosts)
    listening = _listen(options.host, options.port)
    with listening:
        port = listening.getsockname()[1]
        say(f"http://{options.host if options.host != '0.0.0.0' else hosts[-1]}:{port}  (Ctrl-C ends it)")
        if not _is_loopback(options.host):
            say("Others can reach this: anyone who can reach this machine can use its processor.")
        uvicorn.Server(server_config(app)).run(sockets=[listening])
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm serve", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at; others than this machine's own let others in"
    )
    parser.add_argument(
        "--names", nargs="+", default=[], metavar="NAME", help="further names under which the page may be asked for"
    )
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _hosts(host: str, names: Sequence[str]) -> list[str]:
    """The names that requests may be addressed to."""
    if host in ("0.0.0.0", "::") and not names:
        raise InputError(
            f"--host {host} listens everywhere: give --names, the names by which this machine is asked for"
        )
    return list(dict.fromkeys([*LOOPBACK, *([] if host in ("0.0.0.0", "::") else [host]), *names]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: if the port is taken, or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"{host}:{port} cannot be listened at: {error}. Give another --port, 0 for a free one"
        ) from error
