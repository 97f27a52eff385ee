"""Tables of the project whose metadata env.py does not pass to Alembic: those of a second declarative base."""

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import MetaData, Table

from ..core.project import is_own_code


@dataclass(frozen=True)
class UnknownTable:
    """A table, and the module that defines it."""

    table: Table
    path: Path

    @property
    def name(self) -> str:
        """As the catalog names it, without quotes."""
        return f"relation {self.table.schema or 'public'}.{self.table.name}"


def unknown_tables(config: pytest.Config, known: Collection[MetaData]) -> list[UnknownTable]:
    """The tables of the imported modules of the project that none of the metadata has."""
    names = {table.key for metadata in known for table in metadata.tables.values()}
    return [
        UnknownTable(table, path)
        for module, path in _own_modules(config)
        for table in _tables(module)
        if table.key not in names
    ]


def _own_modules(config: pytest.Config) -> Iterator[tuple[ModuleType, Path]]:
    for _, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or (path := Path(file)).suffix != ".py" or not is_own_code(path, config):
            continue
        # Tests may have tables of their own.
        if "tests" not in path.relative_to(config.rootpath).parts and not path.name.startswith(("test_", "conftest")):
            yield module, path


def _tables(module: ModuleType) -> Iterator[Table]:
    """Those of its classes, and those without a class."""
    of_classes: set[Table] = set()
    for value in list(vars(module).values()):
        if isinstance(value, type) and isinstance(table := vars(value).get("__table__"), Table):
            of_classes.add(table)
            if value.__module__ == module.__name__:
                yield table
    for value in list(vars(module).values()):
        if isinstance(value, Table) and value not in of_classes:
            yield value
