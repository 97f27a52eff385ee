"""Tries the sources of a server in order: TEST_DATABASE_URL, local binaries, Docker.

A TEST_DATABASE_URL or POSTGRES_BIN that does not work is an error; no other source is tried then.
"""

import os
from collections.abc import Callable, Mapping
from typing import Literal

from . import url
from .server import ConfiguredServerError, NoServerError, Server

Choice = Literal["auto", "url", "local", "docker"]
CHOICES: tuple[Choice, ...] = ("auto", "url", "local", "docker")

TITLES = {"local": "local binaries", "docker": "Docker"}
NOT_SET = f"{url.VARIABLE} is not set"
HELP = """\
Do one of the following:
  install PostgreSQL {major}, and set POSTGRES_BIN if its folder is not a standard one;
  start Docker, and run `uv run --group docker pytest`, or install testcontainers;
  set TEST_DATABASE_URL=postgresql://user@host/postgres, for a server where the user may create databases."""


def describe(choice: Choice) -> str:
    """Where a server would come from, for pytest's header; tries nothing."""
    if choice == "url" or (choice == "auto" and os.environ.get(url.VARIABLE)):
        return f"from {url.VARIABLE}"
    return {"auto": "local binaries, else Docker", "local": "local binaries", "docker": "Docker"}[choice]


def starts_server(choice: Choice) -> bool:
    """Whether the run starts a server itself, and so needs a folder for it."""
    return choice in ("local", "docker") or (choice == "auto" and not os.environ.get(url.VARIABLE))


def find(choice: Choice, major: int, starters: Mapping[str, Callable[[int], Server]]) -> Server:
    """A server of this major version, from the chosen source, or from the first source that works.

    Args:
        starters: functions that start a server, for "local" and "docker".

    Raises:
        NoServerError: no source works; the message lists the reasons.
    """
    text = os.environ.get(url.VARIABLE)
    if choice == "url" and not text:
        raise ConfiguredServerError(f"--postgres url: {NOT_SET}.")
    if choice in ("auto", "url") and text:
        return url.use(text, major)
    reasons = {}
    for name, start in starters.items():
        if choice not in ("auto", name):
            continue
        try:
            return start(major)
        except ConfiguredServerError:
            raise
        except NoServerError as error:
            reasons[name] = str(error)
    lines = [f"  {TITLES[name]}: {reason}" for name, reason in reasons.items()]
    if choice == "auto":
        lines.insert(0, f"  {NOT_SET}")
    raise NoServerError("\n".join([f"no PostgreSQL {major} server found. Tried:", *lines, HELP.format(major=major)]))
