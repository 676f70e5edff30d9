"""ASGI application of the demo page: six static files and the requests of the page."""

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
from ltm_pyro.report import plotly_js, themes
from ltm_pyro.serving.layouts import layouts
from ltm_pyro.serving.worker import BusyError, Job, Worker

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from ltm_pyro.serving.demo_service import DemoService

BODY = 100_000  # most bytes of a request's body
BODY_SECONDS = 10.0  # time limit for the body
WANTED = dict[str, Annotated[str, MaxLen(BODY)] | int | float | bool | None]
PAGES = {
    "/": ("ltm_pyro.serving", "page.html", "text/html"),
    "/page.js": ("ltm_pyro.serving", "page.js", "text/javascript"),
    "/page.css": ("ltm_pyro.serving", "page.css", "text/css"),
    "/charts.js": ("ltm_pyro.report", "charts.js", "text/javascript"),
    "/charts.css": ("ltm_pyro.report", "charts.css", "text/css"),
}
HOUR = {"Cache-Control": "private, max-age=3600"}  # of plotly.js, 4.8 MB
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; "  # plotly.js sets styles of its elements
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(desk: DemoService, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> Starlette:
    """ASGI application of the demo page.

    Requests with another Host header are refused, so that a page of another site cannot reach a loopback server by DNS
    rebinding. There is no CORS, and bodies must be JSON, so that such a page cannot post either.

    Args:
        desk: service that answers the requests.
        hosts: allowed host names.

    Raises:
        InputError: if the package starlette is not installed.
    """
    import_extra("starlette", "serve", "ltm serve")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    worker = Worker()

    async def about(request: Request) -> Response:
        return JSONResponse({**desk.about(), "themes": themes(), "layouts": layouts()})

    async def plotly(request: Request) -> Response:
        return Response(plotly_js(), media_type="text/javascript", headers=HOUR)

    def answering(job: Job) -> Any:
        async def answer(request: Request) -> Response:
            return await _answer(worker, job, request)

        return answer

    routes = [Route(path, _file(*page)) for path, page in PAGES.items()]
    routes += [Route("/plotly.js", plotly), Route("/about", about)]
    routes += [
        Route(f"/{name}", answering(job), methods=["POST"]) for name, job in (("fit", desk.fit), ("write", desk.write))
    ]
    guards = [Middleware(_WithHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))]
    return Starlette(routes=routes, middleware=guards)


class _WithHeaders:
    """Middleware that adds the security headers to every response, refusals included."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = {bytes(name).lower() for name, _ in message.get("headers", [])}
                security = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                added = [(name, value) for name, value in security if name not in own]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _file(package: str, name: str, kind: str) -> Any:
    content = (files(package) / name).read_text(encoding="utf-8")

    async def page(request: Request) -> Response:
        from starlette.responses import Response

        return Response(content, media_type=kind)

    return page


async def _answer(worker: Worker, job: Job, request: Request) -> Response:
    """Stream of a job's events, a line of JSON for each event."""
    from starlette.responses import StreamingResponse

    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _refused(415, "the body must be application/json")
    try:
        body = await asyncio.wait_for(_body(request), BODY_SECONDS)
    except asyncio.TimeoutError:
        return _refused(408, f"the request took longer than {BODY_SECONDS:.0f} seconds")
    if len(body) > BODY:
        return _refused(413, f"the request is longer than {BODY:,} bytes")
    try:
        arguments = validate(parse_json(body, "the body"), WANTED, "the body")
    except InputError as error:
        return _refused(400, str(error).removesuffix(f". {RESTORE}"))
    events = worker.events(job, arguments)
    try:
        first = await anext(events)
    except BusyError:
        return _refused(503, "too many requests are waiting: try again in a moment")

    async def lines() -> AsyncIterator[str]:
        try:
            yield json.dumps(first) + "\n"
            async for event in events:
                yield json.dumps(event) + "\n"
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _body(request: Request) -> bytes:
    """Body of a request, read until it exceeds the limit."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            break
    return body


def _refused(status: int, why: str) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": why}, status_code=status)
