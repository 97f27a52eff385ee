"""Entries that only add files share a project and one run of pytest, in which each has files of its own.

An entry that edits the project, removes something or has options of its own is made alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.mistakes.catalogue import Change, File, Guarded, Mistake, Right, Rule
from tests.mistakes.project import Outcome
from tests.mistakes.routes import included

Entry = Mistake | Right

ROUTE = re.compile(r'@router\.(\w+)\(\s*"([^"]*)"')
TABLE = re.compile(r'(__tablename__) = "(\w+)"')


def can_share(entry: Entry) -> bool:
    """Whether an entry adds tests, and modules whose routes they ask for, and nothing else."""
    if entry.answers or entry.run or not entry.tests:
        return False
    routers = [included(module) for module in _modules(entry)]
    if not all(isinstance(change, File) or change in routers for change in entry.changes):
        return False
    return isinstance(entry, Right) or (isinstance(entry.caught_by, Guarded | Rule) and not entry.alone)


def _modules(entry: Entry) -> list[str]:
    """The modules of the application that an entry adds."""
    paths = [change.path for change in entry.changes if isinstance(change, File)]
    return [found[1] for path in paths if (found := re.fullmatch(r"src/shop/(\w+)\.py", path))]


def _text(entry: Entry) -> str:
    return "\n".join(change.text for change in entry.changes if isinstance(change, File))


def _asked_for(entry: Entry) -> list[str]:
    """The routes that an entry adds and then asks for by their whole path, which may be another one."""
    text = _text(entry)
    return [path for _, path in ROUTE.findall(text) if len(_literal(path).findall(text)) > 1 and "{" not in path]


def _literal(path: str) -> re.Pattern[str]:
    return re.compile(rf'(?<=[" ]){re.escape(path)}(?=["?])')


def _claims(entry: Entry) -> set[tuple[str, str]]:
    """The routes and tables of an entry that no other entry of the application may have."""
    text, renamed = _text(entry), _asked_for(entry)
    return {*((method, path) for method, path in ROUTE.findall(text) if path not in renamed), *TABLE.findall(text)}


@dataclass(frozen=True)
class Batch:
    """Entries of one project.

    Attributes:
        name: of the batch; its tests are one worker's.
    """

    name: str
    entries: list[Entry]

    def alike(self, entry: Entry) -> list[Entry]:
        """The entries that the same thing catches."""
        by = entry.caught_by if isinstance(entry, Mistake) else None
        return [other for other in self.entries if (other.caught_by if isinstance(other, Mistake) else None) == by]

    @property
    def changes(self) -> list[Change]:
        """The changes of all entries; names of modules, tests and routes end with a suffix, the entry's own."""
        return [change for entry in self.entries for change in self._renamed(entry)]

    def tests(self, entries: Sequence[Entry]) -> list[str]:
        """The test files of some of the entries."""
        return [test.replace(".py", f"{self._suffix(entry)}.py") for entry in entries for test in entry.tests]

    def outcome(self, entry: Entry, run: Outcome) -> Outcome:
        """An entry's part of a run, without the suffix."""
        files, suffix = self.tests([entry]), self._suffix(entry)
        failed = {
            name.replace(suffix, ""): said.replace(suffix, "")
            for name, said in run.failed.items()
            if name.partition("::")[0] in files
        }
        passed = [name.replace(suffix, "") for name in run.passed if name.partition("::")[0] in files]
        # 1 is the code of a run in which a test failed: here, one of this entry or of another.
        code = run.code if failed or run.code != 1 or not run.failed else 0
        return Outcome(code, "\n".join(failed.values()) or run.output, failed, passed)

    def _suffix(self, entry: Entry) -> str:
        return f"_m{self.entries.index(entry):03}"

    def _renamed(self, entry: Entry) -> list[Change]:
        suffix, modules = self._suffix(entry), _modules(entry)
        names = [re.compile(rf"\bshop\.{module}\b") for module in modules] + list(map(_literal, _asked_for(entry)))
        renamed: list[Change] = [included(module + suffix) for module in modules if included(module) in entry.changes]
        for change in entry.changes:
            if isinstance(change, File):
                text = change.text
                for name in names:
                    text = name.sub(rf"\g<0>{suffix}", text)
                renamed.append(replace(change, path=change.path.replace(".py", f"{suffix}.py"), text=text))
        return renamed


def batches(name: str, entries: Sequence[Entry]) -> list[Batch]:
    """The entries that can share, in as few batches as their routes and tables allow."""
    found: list[Batch] = []
    for entry in filter(can_share, entries):
        free = (batch for batch in found if not any(_claims(entry) & _claims(other) for other in batch.entries))
        batch = next(free, None)
        if batch is None:
            found.append(batch := Batch(f"{name} {len(found)}", []))
        batch.entries.append(entry)
    return found
