"""What an entry of the catalogue consists of: the mistake, where it is made, what must catch it, and in which words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Change(Protocol):
    """Something done to the files of a project; raises `StaleError` if the project is no longer what it is about."""

    def make(self, project: Path) -> None: ...


class StaleError(Exception):
    """An entry of the catalogue no longer applies."""


@dataclass(frozen=True)
class Edit:
    """Replaces `old`, which must stand in the file exactly once."""

    path: str
    old: str
    new: str

    def make(self, project: Path) -> None:
        file = project / self.path
        text = file.read_text()
        if (count := text.count(self.old)) != 1:
            raise StaleError(f"{self.path} has this {count} times, not once:\n{self.old}")
        file.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True)
class File:
    """Adds a file, which must not be there."""

    path: str
    text: str

    def make(self, project: Path) -> None:
        file = project / self.path
        if file.exists():
            raise StaleError(f"{self.path} is there already")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text)


@dataclass(frozen=True)
class Removal:
    """Removes a file, which must be there."""

    path: str

    def make(self, project: Path) -> None:
        if not (project / self.path).exists():
            raise StaleError(f"{self.path} is not there")
        (project / self.path).unlink()


# What catches a mistake. `by` is how README's table says it.


@dataclass(frozen=True)
class Check:
    """A test of the harness's, in `tests/harness/checks/`: every project has it, whatever its owner deletes.

    Args:
        test: such as `test_migrations.py::test_single_head_revision`.
    """

    test: str

    @property
    def by(self) -> str:
        return f"check `{self.test.partition('::')[2]}`"


@dataclass(frozen=True)
class Guarded:
    """A guard, which fails the test that the entry brings along; with the guard off, that test passes.

    Args:
        guard: its name.
    """

    guard: str

    @property
    def by(self) -> str:
        return f"guard `{self.guard}`"


@dataclass(frozen=True)
class Rule:
    """A rule of the harness that has no switch, such as those of a savepoint test, pytest's warnings as errors, or one
    error for the whole run; any test that comes this way fails.

    Args:
        by: what it is called, such as "the savepoint's rules".
    """

    by: str


@dataclass(frozen=True)
class SampleTest:
    """A test of the sample service, which shows its owner how; it goes when they delete it.

    Args:
        test: such as `test_auth.py::test_log_in`.
    """

    test: str

    @property
    def by(self) -> str:
        return f"sample test `{self.test.partition('::')[2]}`"


@dataclass(frozen=True)
class Tool:
    """A command beside pytest, which the project's workflow and pre-commit run.

    Args:
        by: what it is called, such as "ruff ASYNC251".
        command: as it is typed after `uv run`, such as `("ruff", "check")`.
    """

    by: str
    command: tuple[str, ...]


Catcher = Check | Guarded | Rule | SampleTest | Tool


@dataclass(frozen=True)
class Mistake:
    """Something that goes wrong in production, though tests of the usual kind pass.

    Args:
        name: what was done, in a few words of the field: "a downgrade that does nothing".
        sentence: what comes of it, for somebody who has not met it yet.
        changes: how it is made in a rendered project.
        caught_by: what must fail.
        words: what its message must hold, so that the reader knows what to do.
        answers: of the variant that it is made in; PostgreSQL 18 with everything, unless they say otherwise.
        run: what pytest is asked to run; by default what catches it, or the test files that `changes` add.
    """

    name: str
    sentence: str
    changes: Sequence[Change]
    caught_by: Catcher
    words: Sequence[str]
    answers: dict[str, object] = field(default_factory=dict)
    run: Sequence[str] = ()

    @property
    def tests(self) -> list[str]:
        """What pytest is asked to run."""
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
    """Code that is right, and that a careless guard would refuse.

    Args:
        name: what it does, in a few words.
        changes: how it comes into a rendered project, with tests that pass.
        answers, run: as in `Mistake`.
    """

    name: str
    changes: Sequence[Change]
    answers: dict[str, object] = field(default_factory=dict)
    run: Sequence[str] = ()

    @property
    def tests(self) -> list[str]:
        """What pytest is asked to run."""
        added = [change.path for change in self.changes if isinstance(change, File) and "/test_" in change.path]
        return [*self.run, *added]
