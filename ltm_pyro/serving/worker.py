"""Worker that runs one computation at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ltm_pyro.errors import InputError

WAITING = 8  # most waiting requests; further ones are refused
Job = Callable[[Mapping[str, Any], Callable[[dict[str, Any]], None]], None]


class BusyError(Exception):
    """Error for a request when too many are waiting."""


class _GoneError(Exception):
    """Error in a job whose client has disconnected."""


class Worker:
    """Worker that runs jobs in a single thread, in order of arrival, and streams their events.

    A job whose client has disconnected stops at its next event, or never starts.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk")
        self.waiting = 0

    async def events(self, job: Job, wanted: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Events of a job, with `error` if the job refuses the request, and `done` at the end.

        Raises:
            BusyError: at once, if too many requests wait.
        """
        if self.waiting >= WAITING:
            raise BusyError
        loop, queue, gone = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None](), threading.Event()

        def tell(event: dict[str, Any] | None) -> None:
            if gone.is_set():
                raise _GoneError
            loop.call_soon_threadsafe(queue.put_nowait, event)

        def carry_out() -> None:
            try:
                tell({"begun": True})
                job(wanted, tell)
                tell({"done": True})
            except _GoneError:
                return
            except InputError as error:
                loop.call_soon_threadsafe(queue.put_nowait, {"error": str(error)})
            except Exception:
                loop.call_soon_threadsafe(queue.put_nowait, {"error": "the server failed: see its terminal"})
                raise
            finally:
                loop.call_soon_threadsafe(queue.put_nowait, None)

        self.waiting += 1
        future = self.thread.submit(carry_out)
        future.add_done_callback(_report)
        try:
            if self.waiting > 1:
                yield {"waiting": self.waiting - 1}
            while (event := await queue.get()) is not None:
                yield event
        finally:
            gone.set()
            future.cancel()
            self.waiting -= 1

    def close(self) -> None:
        """Shut down the thread."""
        self.thread.shutdown(wait=False, cancel_futures=True)


def _report(future: Any) -> None:
    import logging

    if not future.cancelled() and (error := future.exception()) is not None:
        logging.getLogger("uvicorn.error").error("a request failed", exc_info=error)
