"""Who listens to progress: every open page, told through server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

_WAITING = 256
"""Events that a page may be behind; one that reads none any more loses the oldest."""
_HEARTBEAT_S = 15.0


class Hub:
    """Events from whatever thread to all pages that listen; made and listened to in the loop of the server.

    Args:
        most: pages at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[str | None]] = set()

    def open(self) -> None:
        """Work in the loop that runs."""
        self._loop = asyncio.get_running_loop()

    @property
    def is_full(self) -> bool:
        """Whether no further page can listen."""
        return len(self._queues) >= self._most

    def publish(self, event: Mapping[str, Any]) -> None:
        """Tell all pages; from any thread."""
        loop, text = self._loop, f"data: {json.dumps(event)}\n\n"
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._spread, text)

    def close(self) -> None:
        """End all listening; in the loop."""
        self._spread(None)
        self._loop = None

    def _spread(self, text: str | None) -> None:
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)

    async def listen(self) -> AsyncIterator[str]:
        """Events as they come, as text/event-stream; a remark every fifteen seconds keeps proxies from closing it."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        self._queues.add(queue)
        try:
            yield ": listening\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
                except TimeoutError:
                    text = ": still here\n\n"
                if text is None:
                    return
                yield text
        finally:
            self._queues.discard(queue)
