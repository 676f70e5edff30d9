"""The page over HTTP: five files, what it asks, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MaxLen

from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_json, validate
from ltm_pyro.files.opening import RESTORE
from ltm_pyro.optional import import_extra
from ltm_pyro.serving.worker import BusyError, Job, Worker

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from ltm_pyro.serving.demo_service import DemoService

BODY = 100_000  # bytes of a request
BODY_SECONDS = 10.0  # in which it must have come
WANTED = dict[str, Annotated[str, MaxLen(BODY)] | int | float | bool | None]
PAGES = {
    "/": ("ltm_pyro.serving", "page.html", "text/html"),
    "/page.js": ("ltm_pyro.serving", "page.js", "text/javascript"),
    "/page.css": ("ltm_pyro.serving", "page.css", "text/css"),
    "/chart.js": ("ltm_pyro.report", "chart.js", "text/javascript"),
    "/chart.css": ("ltm_pyro.report", "chart.css", "text/css"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(desk: DemoService, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> Starlette:
    """An ASGI application.

    Requests under another host's name are refused, so that no other site's page can reach a loopback server by a
    name of its own; there is no CORS, and bodies must be JSON, so that none can post to it either.

    Args:
        desk: what answers.
        hosts: names under which it may be reached.

    Raises:
        InputError: if the package starlette is not installed.
    """
    import_extra("starlette", "serve", "ltm serve")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    worker = Worker()

    async def about(request: Request) -> Response:
        return JSONResponse(desk.about())

    def answering(job: Job) -> Any:
        async def answer(request: Request) -> Response:
            return await _answer(worker, job, request)

        return answer

    routes = [Route(path, _file(*page)) for path, page in PAGES.items()]
    routes += [Route("/about", about)]
    routes += [
        Route(f"/{name}", answering(job), methods=["POST"]) for name, job in (("fit", desk.fit), ("write", desk.write))
    ]
    guards = [Middleware(_WithHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))]
    return Starlette(routes=routes, middleware=guards)


class _WithHeaders:
    """Every answer carries the headers, refusals too."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _file(package: str, name: str, kind: str) -> Any:
    content = (files(package) / name).read_text(encoding="utf-8")

    async def page(request: Request) -> Response:
        from starlette.responses import Response

        return Response(content, media_type=kind)

    return page


async def _answer(worker: Worker, job: Job, request: Request) -> Response:
    """A line of JSON for each event, as it comes."""
    from starlette.responses import StreamingResponse

    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _refused(415, "the body must be application/json")
    try:
        body = await asyncio.wait_for(_body(request), BODY_SECONDS)
    except asyncio.TimeoutError:
        return _refused(408, f"the request took longer than {BODY_SECONDS:.0f} seconds to come")
    if len(body) > BODY:
        return _refused(413, f"the request is longer than {BODY:,} bytes")
    try:
        wanted = validate(parse_json(body, "the body"), WANTED, "the body")
    except InputError as error:
        return _refused(400, str(error).removesuffix(f". {RESTORE}"))
    events = worker.events(job, wanted)
    try:
        first = await anext(events)
    except BusyError:
        return _refused(503, "many others are waiting: try again in a moment")

    async def lines() -> AsyncIterator[str]:
        try:
            yield json.dumps(first) + "\n"
            async for event in events:
                yield json.dumps(event) + "\n"
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _body(request: Request) -> bytes:
    """A request's body; what goes beyond the limit is not kept."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            break
    return body


def _refused(status: int, why: str) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": why}, status_code=status)
