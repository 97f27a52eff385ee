"""The rungs in their order, and the one error when none of them serves.

What somebody has set counts: a TEST_DATABASE_URL or a POSTGRES_BIN that does not work is an error, and not a reason to
take another server than the one that was named.
"""

import os
from collections.abc import Callable, Mapping
from typing import Literal

from . import url
from .server import NamedWronglyError, NoServerError, Server

Choice = Literal["auto", "url", "local", "docker"]
CHOICES: tuple[Choice, ...] = ("auto", "url", "local", "docker")

TITLES = {"local": "local binaries", "docker": "Docker"}
NOT_SET = f"{url.VARIABLE} is not set"
HELP = """\
Any of these helps:
  install PostgreSQL {major}, and name its folder in POSTGRES_BIN if it is an unusual one;
  start Docker, and run `uv run --group docker pytest`;
  TEST_DATABASE_URL=postgresql://user@host/postgres, a server on which that user may create databases."""


def intended(choice: Choice) -> str:
    """Where a server will come from if a test asks for one, in a few words; nothing is tried."""
    if choice == "url" or (choice == "auto" and os.environ.get(url.VARIABLE)):
        return f"by {url.VARIABLE}"
    return {"auto": "local binaries, else Docker", "local": "local binaries", "docker": "Docker"}[choice]


def needs_folder(choice: Choice) -> bool:
    """Whether the run starts a server, so that it needs a folder for it."""
    return choice in ("local", "docker") or (choice == "auto" and not os.environ.get(url.VARIABLE))


def find(choice: Choice, major: int, rungs: Mapping[str, Callable[[int], Server]]) -> Server:
    """A server of this major, from the first rung that serves, or from the one asked for.

    Args:
        rungs: what starts a server, for each of "local" and "docker".

    Raises:
        NoServerError: there is none.
    """
    text = os.environ.get(url.VARIABLE)
    if choice == "url" and not text:
        raise NamedWronglyError(f"--postgres url: {NOT_SET}.")
    if choice in ("auto", "url") and text:
        return url.use(text, major)
    tried = {}
    for name, start in rungs.items():
        if choice not in ("auto", name):
            continue
        try:
            return start(major)
        except NamedWronglyError:
            raise
        except NoServerError as failed:
            tried[name] = str(failed)
    words = [f"  {TITLES[name]}: {why}" for name, why in tried.items()]
    if choice == "auto":
        words.insert(0, f"  {NOT_SET}")
    raise NoServerError("\n".join([f"no server of PostgreSQL {major}. Tried:", *words, HELP.format(major=major)]))
