"""The entries of the catalogue: a mistake, the changes that make it, what must catch it, and the expected message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Change(Protocol):
    """A change of a project's files; raises `StaleError` if it does not apply to the project."""

    def make(self, project: Path) -> None: ...


class StaleError(Exception):
    """A change of the catalogue does not apply to the rendered project."""


@dataclass(frozen=True)
class Edit:
    """Replaces `old`, which must occur in the file exactly once."""

    path: str
    old: str
    new: str

    def make(self, project: Path) -> None:
        file = project / self.path
        text = file.read_text()
        if (count := text.count(self.old)) != 1:
            raise StaleError(f"{self.path} contains this {count} times, expected once:\n{self.old}")
        file.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True)
class File:
    """Adds a file, which must not exist."""

    path: str
    text: str

    def make(self, project: Path) -> None:
        file = project / self.path
        if file.exists():
            raise StaleError(f"{self.path} exists")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text)


@dataclass(frozen=True)
class Removal:
    """Removes a file, which must exist."""

    path: str

    def make(self, project: Path) -> None:
        if not (project / self.path).exists():
            raise StaleError(f"{self.path} does not exist")
        (project / self.path).unlink()


# What catches a mistake. `by` is its name in README's table.


@dataclass(frozen=True)
class Check:
    """A check in `tests/harness/checks/`, which every project has.

    Args:
        test: such as `test_migrations.py::test_single_head_revision`.
    """

    test: str

    @property
    def by(self) -> str:
        return f"check `{self.test.partition('::')[2]}`"


@dataclass(frozen=True)
class Guarded:
    """A guard that fails the test of the entry; with the guard disabled, the test passes.

    Args:
        guard: its name.
    """

    guard: str

    @property
    def by(self) -> str:
        return f"guard `{self.guard}`"


@dataclass(frozen=True)
class Rule:
    """A rule of the harness that cannot be disabled, such as the rules of a savepoint test, warnings as errors, or one
    error for the whole run; any test that comes this way fails.

    Args:
        by: its name, such as "the savepoint's rules".
    """

    by: str


@dataclass(frozen=True)
class SampleTest:
    """A test of the sample service, which its owner may delete.

    Args:
        test: such as `test_auth.py::test_log_in`.
    """

    test: str

    @property
    def by(self) -> str:
        return f"sample test `{self.test.partition('::')[2]}`"


@dataclass(frozen=True)
class Tool:
    """A command other than pytest, which the project's workflow and pre-commit run.

    Args:
        by: its name, such as "ruff ASYNC251".
        command: the command after `uv run`, such as `("ruff", "check")`.
    """

    by: str
    command: tuple[str, ...]


Catcher = Check | Guarded | Rule | SampleTest | Tool


@dataclass(frozen=True)
class Mistake:
    """A mistake that fails in production, while ordinary tests pass.

    Args:
        name: the mistake in a few words: "a downgrade that does nothing".
        sentence: its effect, for a reader who does not know it.
        changes: the changes that make it in a rendered project.
        caught_by: what must fail.
        words: what the message must contain.
        answers: the answers of the rendered project; by default PostgreSQL 18 with all features.
        run: pytest's arguments; by default what catches it, or the test files that `changes` add.
        alone: why no other mistake can be made in the same run, if its files alone do not tell.
    """

    name: str
    sentence: str
    changes: Sequence[Change]
    caught_by: Catcher
    words: Sequence[str]
    answers: dict[str, object] = field(default_factory=dict)
    run: Sequence[str] = ()
    alone: str = ""

    @property
    def tests(self) -> list[str]:
        """The paths that pytest runs."""
        match self.caught_by:
            case _ if self.run:
                return list(self.run)
            case Check(test):
                return [f"tests/harness/checks/{test}"]
            case SampleTest(test):
                return [f"tests/{test}"]
            case _:
                return [change.path for change in self.changes if isinstance(change, File) and "/test_" in change.path]


@dataclass(frozen=True)
class Right:
    """Correct code that a check or guard must not reject.

    Args:
        name: what it does, in a few words.
        changes: the changes that add it to a rendered project, with tests that pass.
        answers, run: as in `Mistake`.
    """

    name: str
    changes: Sequence[Change]
    answers: dict[str, object] = field(default_factory=dict)
    run: Sequence[str] = ()

    @property
    def tests(self) -> list[str]:
        """The paths that pytest runs."""
        added = [change.path for change in self.changes if isinstance(change, File) and "/test_" in change.path]
        return [*self.run, *added]
