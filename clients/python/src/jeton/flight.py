"""How is one thing asked once, however many threads want it?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from .errors import JetonError, Problem, RetryError

T = TypeVar("T")


class Flight(Generic[T]):
    """Whoever comes while a call is under way waits for its result, be it an error.

    The first thread makes the call, for itself too; `call` looks first whether another has just brought what it wants.
    """

    def __init__(self) -> None:
        self._board()

    def _board(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._landing: Future[T] | None = None

    def join(self, call: Callable[[], T]) -> T:
        if self._pid != os.getpid():
            # A forked process has the lock as another thread held it, and waits for nobody.
            self._board()
        with self._lock:
            waited = self._landing
            landing = self._landing = waited or Future()
        if waited is None:
            return self._fly(call, landing)
        error: JetonError
        try:
            return waited.result()
        except JetonError as shared:
            error = shared.again()
        raise error

    def _fly(self, call: Callable[[], T], landing: Future[T]) -> T:
        try:
            result = call()
        except BaseException as error:
            self._land()
            interrupted = RetryError(Problem(code="interrupted", detail="the thread that asked the broker was ended"))
            landing.set_exception(error if isinstance(error, Exception) else interrupted)
            raise
        self._land()
        landing.set_result(result)
        return result

    def _land(self) -> None:
        with self._lock:
            self._landing = None

    def __getstate__(self) -> dict[str, object]:
        """Nothing: a copy makes its own calls."""
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._board()
