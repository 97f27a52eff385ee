"""Progress messages: a line that disappears when the step is done, on a terminal only; in a log, only slow steps."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

import pytest

ShowProgress = Callable[[str], None]

SHOW_PROGRESS = pytest.StashKey[ShowProgress]()

# Control codes of the VT100: save the cursor, restore it, clear to the end of the line.
SAVE, RESTORE, CLEAR = "\0337", "\0338", "\033[K"


def announce(config: pytest.Config, text: str) -> None:
    """Print a line, also if the output is no terminal."""
    with _uncaptured(config):
        print(f"\n{text}", file=_stream(config), flush=True)


@contextmanager
def showing_progress(config: pytest.Config) -> Iterator[ShowProgress]:
    """Yield a function that shows a short text at the cursor, and replaces the text before; removed after the block.

    Nothing is shown in a worker of pytest-xdist: the controller writes its own line at the same time.
    """
    if SHOW_PROGRESS in config.stash:
        # Nested: the outer block removes the text.
        yield config.stash[SHOW_PROGRESS]
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

    write(SAVE)
    config.stash[SHOW_PROGRESS] = lambda text: write(f"{RESTORE}{CLEAR}{text}")
    try:
        yield config.stash[SHOW_PROGRESS]
    finally:
        write(f"{RESTORE}{CLEAR}")
        del config.stash[SHOW_PROGRESS]


def _stream(config: pytest.Config) -> TextIO:
    # The standard output of a pytest-xdist worker is a pipe; its standard error is the controller's.
    return sys.stderr if hasattr(config, "workerinput") else sys.stdout


def _uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return nullcontext()
    uncaptured: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return uncaptured
