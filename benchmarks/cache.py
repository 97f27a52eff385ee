"""The same run without and with what earlier runs have stored in the harness's cache."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

HOW = ("cold", "warm")

Run = Callable[[Path], float]


def cold_and_warm(run: Run, folder: Path) -> list[Callable[[], float]]:
    """The two runs, in the order of `HOW`.

    Args:
        run: takes the cache folder; returns seconds.
        folder: a new one, for the caches of this run alone.
    """
    folder.mkdir(parents=True)
    warm = folder / "warm"
    # Fills the cache, and compiles the revisions.
    run(warm)
    return [partial(_cold, run, folder / "cold"), partial(run, warm)]


def _cold(run: Run, cache: Path) -> float:
    try:
        return run(cache)
    finally:
        shutil.rmtree(cache)
