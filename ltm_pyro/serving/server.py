"""Server configuration of the page: time limits and the number of connections."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ltm_pyro.optional import import_extra

if TYPE_CHECKING:
    import uvicorn

HEADER_SECONDS = 10.0  # from the connection to the end of a request's headers
SEND_SECONDS = 30.0  # for a client to receive a piece of a response
CONNECTIONS = 64  # concurrent connections; further ones are answered 503
HEADER_BYTES = 16_384


def server_config(
    app: Any, header_seconds: float = HEADER_SECONDS, send_seconds: float = SEND_SECONDS
) -> uvicorn.Config:
    """Configuration of uvicorn that limits the duration of connections.

    Every connection serves a single request. A connection is closed if its headers do not arrive in time, or if the
    client does not receive the response in time. A client that disconnects early causes one line in the log.

    Args:
        app: an ASGI application.
        header_seconds: time limit for the headers of a request.
        send_seconds: time limit for the client to receive a piece of a response.

    Raises:
        InputError: if the package uvicorn is not installed.
    """
    uvicorn = import_extra("uvicorn", "serve", "ltm serve")
    return uvicorn.Config(
        _Bounded(app, send_seconds),
        http=_protocol(header_seconds),
        ws="none",
        lifespan="off",
        log_level="warning",
        server_header=False,
        headers=[("Connection", "close")],
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


class _Bounded:
    """ASGI wrapper that limits the time in which a client must receive each piece of a response."""

    def __init__(self, app: Any, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import ClientDisconnect

        async def send_in_time(message: Any) -> None:
            await asyncio.wait_for(send(message), self.seconds)

        try:
            await self.app(scope, receive, send_in_time)
        except (ClientDisconnect, ConnectionError, TimeoutError, asyncio.TimeoutError) as error:
            reason = "did not receive its answer" if isinstance(error, TimeoutError) else "left"
            logging.getLogger("uvicorn.error").warning("a visitor %s in the middle of %s", reason, scope.get("path"))


def _protocol(seconds: float) -> type[asyncio.Protocol]:
    """HTTP protocol of uvicorn with an additional time limit for headers."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class InTime(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.late = self.loop.call_later(seconds, self.close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            self.late.cancel()
            super().connection_lost(exc)

        def close_if_silent(self) -> None:
            if self.cycle is None:  # no request has begun
                self.transport.abort()

    return InTime
