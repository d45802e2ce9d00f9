"""Channel: the bounded queue between two pipeline threads, lossless or latest-item."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """At most ``capacity`` items, None any number, from one producer thread to one consumer thread.

    Lossless by default: ``put`` waits for room. With ``on_drop`` it never waits: the oldest
    item makes room and is handed to ``on_drop``, on the producer's thread.
    """

    def __init__(self, capacity: int | None, on_drop: Callable[[T], None] | None = None) -> None:
        self._items: deque[T] = deque()
        self._capacity = float("inf") if capacity is None else capacity
        self._on_drop = on_drop
        self._changed = threading.Condition()
        self._closed = False
        self._aborted = False

    def put(self, item: T) -> bool:
        """Add ``item``; False when the channel was aborted and nothing will take it."""
        dropped: list[T] = []
        with self._changed:
            if self._on_drop is None:
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._aborted)
            if self._aborted:
                return False
            while len(self._items) >= self._capacity:
                dropped.append(self._items.popleft())
            self._items.append(item)
            self._changed.notify_all()
        if self._on_drop is not None:
            for old in dropped:
                self._on_drop(old)
        return True

    def peek(self) -> T | None:
        """The next item without taking it; waits for one, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._aborted)
            return self._items[0] if self._items else None

    def wait(self, seconds: float) -> bool:
        """True when ``get`` would not wait, at the latest after ``seconds``."""
        with self._changed:
            return bool(
                self._changed.wait_for(
                    lambda: self._items or self._closed or self._aborted, seconds
                )
            )

    def get(self) -> T | None:
        """Take the next item; waits for one, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._aborted)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """No more items will be put; those inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Throw away what is inside and wake both sides."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._changed.notify_all()
