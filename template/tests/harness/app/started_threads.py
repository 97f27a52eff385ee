"""Threads of a synchronous application: those of a lifespan belong to no test, and those of a test to no other test.

Python gives a new thread no context. Two variables are passed on here, to a `threading.Thread` and to each function
that is submitted to a `ThreadPoolExecutor`: `IN_LIFESPAN`, and in `STARTED_BY` the test that is running.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import pytest

from ..connections.process import REDIRECT
from ..transaction.logical_connection import IN_LIFESPAN, Serving
from ..transaction.threads import STARTED_BY, ConnectionOfThreads

# True while an executor starts a thread, which may also work for others.
IN_SUBMIT: ContextVar[bool] = ContextVar("savepoint_in_submit", default=False)


def pass_on_context(config: pytest.Config) -> None:
    """Let threads know for the rest of the run who has started them."""
    shared = config.stash[REDIRECT].synchronous
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    @wraps(start)
    def start_in_context(self: threading.Thread) -> None:
        if not IN_SUBMIT.get():
            self.run = _passing_on(shared, self.run)  # type: ignore[method-assign]
        start(self)

    @wraps(submit)  # type: ignore[arg-type]  # a generic method
    def submit_in_context(self: ThreadPoolExecutor, function: Any, /, *arguments: Any, **options: Any) -> Any:
        before = IN_SUBMIT.set(True)
        try:
            return submit(self, _passing_on(shared, function), *arguments, **options)
        finally:
            IN_SUBMIT.reset(before)

    for owner, name, function in (
        (threading.Thread, "start", start_in_context),
        (ThreadPoolExecutor, "submit", submit_in_context),
    ):
        config.add_cleanup(partial(setattr, owner, name, getattr(owner, name)))
        setattr(owner, name, function)


def _passing_on(shared: ConnectionOfThreads, function: Callable[..., Any]) -> Callable[..., Any]:
    lifespan, test = IN_LIFESPAN.get(), STARTED_BY.get() or shared.test
    # Not the truth of `IN_LIFESPAN`, which changes: see `Serving`.
    if lifespan is False and test is None:
        return function
    return partial(_run, function, lifespan, None if lifespan is not False else test)


def _run(
    function: Callable[..., Any], lifespan: bool | Serving, test: object, /, *arguments: Any, **options: Any
) -> Any:
    # Not in a copy of a context: threads of the application have no other variables either.
    before = IN_LIFESPAN.set(lifespan), STARTED_BY.set(test)
    try:
        return function(*arguments, **options)
    finally:
        IN_LIFESPAN.reset(before[0])
        STARTED_BY.reset(before[1])
