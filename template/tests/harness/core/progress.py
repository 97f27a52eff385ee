"""Words for whoever waits: on a terminal, a line that goes when it is done; in a log, only what can take minutes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

import pytest

Say = Callable[[str], None]

SAY = pytest.StashKey[Say]()

# As terminals have understood since the VT100: keep the place, come back to it, clear what is right of it.
KEEP, BACK, CLEAR = "\0337", "\0338", "\033[K"


def announce(config: pytest.Config, text: str) -> None:
    """Print a line that stays, whether or not anybody looks."""
    with _uncaptured(config):
        print(f"\n{text}", file=_stream(config), flush=True)


@contextmanager
def passing(config: pytest.Config) -> Iterator[Say]:
    """Yields what shows a few words where the cursor is, in place of those before; with the block, they go.

    With pytest-xdist nothing is shown: the controller's own line goes on meanwhile.
    """
    if SAY in config.stash:
        # A step of what somebody says already.
        yield config.stash[SAY]
        return
    with _uncaptured(config):
        is_shown = sys.stdout.isatty() and not hasattr(config, "workerinput") and os.environ.get("TERM") != "dumb"
        is_shown = is_shown and "CI" not in os.environ
    if not is_shown:
        yield lambda text: None
        return

    def write(text: str) -> None:
        with _uncaptured(config):
            sys.stdout.write(text)
            sys.stdout.flush()

    write(KEEP)
    config.stash[SAY] = lambda text: write(f"{BACK}{CLEAR}{text}")
    try:
        yield config.stash[SAY]
    finally:
        write(f"{BACK}{CLEAR}")
        del config.stash[SAY]


def _stream(config: pytest.Config) -> TextIO:
    # A worker of pytest-xdist has no terminal of its own, but its errors go where the controller's do.
    return sys.stderr if hasattr(config, "workerinput") else sys.stdout


def _uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return nullcontext()
    uncaptured: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return uncaptured
