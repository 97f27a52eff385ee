"""The versions of the template that are newer than the harness: the tags of the repository that it came from.

The address stands in the file of Copier's answers. Only `git ls-remote` connects to it.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The second is that of a new service; in one that exists, it may belong to another template.
ANSWERS = (".copier-answers.savepoint.yml", ".copier-answers.yml")
ADDRESS = re.compile(r"^_src_path: *['\"]?(.+?)['\"]?$", re.M)
# As Copier expands them.
SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
# A fork may have its own versions, such as 0.5.0.post1.
TAG = re.compile(r"refs/tags/v?(\d+(?:\.\d+)+(?:\.post\d+)?)$", re.M)
# Seconds.
LIMIT = 15


class UnknownVersionsError(Exception):
    """The versions cannot be read; the message says why, without what is secret in the address."""


@dataclass(frozen=True)
class Template:
    """Where the harness came from.

    Attributes:
        address: for messages, without the user part.
        versions: all of them, the oldest first.
    """

    address: str
    versions: list[str]


def template_of(root: Path) -> Template:
    """The template of the project in this folder, with its versions; raises `UnknownVersionsError`."""
    texts = [path.read_text(encoding="utf-8") for name in ANSWERS if (path := root / name).is_file()]
    found = next((match[1] for text in texts if (match := ADDRESS.search(text))), None)
    if found is None:
        raise UnknownVersionsError(f"none of {' and '.join(ANSWERS)} has an address of the template")
    address = found
    for short, full in SHORT.items():
        if found.startswith(short):
            address = f"{full}{found.removeprefix(short)}.git"
    shown = re.sub(r"(?<=://)[^/@]*@", "", address)
    command = ["git", "ls-remote", "--tags", "--refs", "--", address.removeprefix("git+")]
    try:
        # In a session of its own, git and ssh have no terminal to ask for a user name.
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise UnknownVersionsError(f"{shown} does not answer within {LIMIT} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.replace(address, shown).strip().splitlines()
        why = next((line for line in lines if line.startswith("fatal:")), "git has failed")
        raise UnknownVersionsError(f"{shown}: {why}") from None
    except OSError as error:
        raise UnknownVersionsError(f"git cannot be run: {error.strerror}") from None
    return Template(shown, sorted(TAG.findall(done.stdout), key=numbers))


def numbers(version: str) -> list[int]:
    """A version to be compared."""
    return [int(number) for number in re.findall(r"\d+", version)]
