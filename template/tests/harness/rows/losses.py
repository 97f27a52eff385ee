"""What two states of a database show: what is gone, and what has another name."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .contents import Content
from .tables import Column, Table

# Shorter texts are in many longer ones by chance, and longer ones are made of them.
LONG_ENOUGH = 4
WORD = re.compile(r"\w+")

Kind = Literal["table", "column", "rows", "null", "same"]


@dataclass(frozen=True)
class Loss:
    """Something that is gone.

    Attributes:
        kind: a table; a column; rows of a table; values that are NULL now; different values that are one value now.
        table: its name.
        column: its name; "" for a table or rows.
        text: what is gone, for a message.
    """

    kind: Kind
    table: str
    column: str
    text: str

    @property
    def key(self) -> str:
        """Its identity, without numbers."""
        name = f"{self.table}.{self.column}" if self.column else self.table
        words = {"table": "table", "column": "column", "rows": "rows of", "null": "NULL in", "same": "one value in"}
        return f"{words[self.kind]} {name}"


@dataclass(frozen=True)
class Changes:
    """What is gone, and what is elsewhere now, under another name."""

    lost: list[Loss]
    moved: list[Loss]


def compared(before: dict[int, Content], after: dict[int, Content]) -> Changes:
    """What is gone or moved; partitions of one table are named by that table."""
    pairs = [(content, _same_table(content, after)) for content in before.values()]
    new = _new_texts(pairs, after)
    comparison = Changes([], [])
    fewer = _rows_by_root(before) - _rows_by_root(after)
    for content, now in pairs:
        for loss, is_moved in _of_table(content, now, new):
            if loss.table != content.table.root and (is_moved or not fewer[content.table.root]):
                # Rows that went to another partition.
                continue
            found = comparison.moved if is_moved else comparison.lost
            if loss.key not in {other.key for other in found}:
                found.append(loss)
    return comparison


def _rows_by_root(found: dict[int, Content]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for content in found.values():
        counts[content.table.root] += content.count
    return counts


def _same_table(content: Content, after: dict[int, Content]) -> Content | None:
    """The same table, also if it was renamed, or another one that has its name."""
    by_name = (found for found in after.values() if found.table.name == content.table.name)
    return after.get(content.table.oid) or next(by_name, None)


def _same_column(column: Column, before: Table, now: Table) -> Column | None:
    same = now.columns.get(column.number) if now.oid == before.oid else None
    return same or now.by_name.get(column.name)


def _new_texts(pairs: Sequence[tuple[Content, Content | None]], after: dict[int, Content]) -> set[str]:
    """The values of columns that did not exist before."""
    known = {
        (now.table.oid, same.number)
        for content, now in pairs
        if now is not None
        for column in content.table.columns.values()
        if (same := _same_column(column, content.table, now.table)) is not None
    }
    return {
        text
        for oid, content in after.items()
        for column in content.table.columns.values()
        if (oid, column.number) not in known
        for text in content.distinct(column)
    }


def _of_table(content: Content, now: Content | None, new: set[str]) -> Iterator[tuple[Loss, bool]]:
    table = content.table
    if now is None:
        filled = [column for column in table.columns.values() if content.distinct(column)]
        is_moved = bool(filled) and all(_is_among(content.distinct(column), new) for column in filled)
        rows = f" and its {content.count} rows" if content.count else ""
        yield Loss("table", table.name, "", f"table {table.name}{rows}"), is_moved
        return
    if now.table.name != table.name:
        yield Loss("table", table.name, "", f"table {table.name}"), True
    is_complete = now.count >= content.count
    if not is_complete:
        text = f"{content.count - now.count} of {content.count} rows of {table.name}"
        yield Loss("rows", table.name, "", text), False
    for column in table.columns.values():
        same = _same_column(column, table, now.table)
        texts = content.distinct(column)
        name = f"{table.root}.{column.name}"
        if same is None:
            count = sum(text is not None for text in content.values[column.number])
            values = f" and its {count} values" if texts else ""
            yield (
                Loss("column", table.root, column.name, f"column {name}{values}"),
                bool(texts) and _is_among(texts, new),
            )
            continue
        if same.name != column.name:
            yield Loss("column", table.root, column.name, f"column {name}"), True
        if is_complete and content.is_read and now.is_read and not column.is_generated:
            yield from _of_column(content, column, now, same)


def _of_column(content: Content, column: Column, now: Content, same: Column) -> Iterator[tuple[Loss, bool]]:
    table, name = content.table, f"{content.table.root}.{column.name}"
    nulls = [Counter(found.values[number])[None] for found, number in ((content, column.number), (now, same.number))]
    lost = nulls[1] - nulls[0] - (now.count - content.count)
    if lost > 0:
        are = "1 value of" if lost == 1 else f"{lost} values of"
        is_null = "is NULL now" if lost == 1 else "are NULL now"
        yield Loss("null", table.root, column.name, f"{are} {name} {is_null}"), False
        return
    texts, left = content.distinct(column), now.distinct(same)
    # A migration may merge two of many labels, but not all.
    is_label = (
        column.type.name == "bool"
        or column.type.kind == "e"
        or any(column.number in check.columns for check in table.checks)
    )
    if len(left) < (2 if is_label and len(texts) > 1 else len(texts)):
        text = f"{len(texts)} different values of {name} are {len(left)} now: {', '.join(sorted(left)[:3])}"
        yield Loss("same", table.root, column.name, text), False


def _is_among(texts: set[str], new: set[str]) -> bool:
    """Whether all values are among new ones, in longer ones, or can be put together from new ones."""
    return all(text in new or _is_within(text, new) or _is_made_of(text, new) for text in texts)


def _is_within(text: str, new: set[str]) -> bool:
    return len(text) >= LONG_ENOUGH and any(text in other for other in new)


def _is_made_of(text: str, new: set[str]) -> bool:
    parts = (part for part in new if len(part) >= LONG_ENOUGH and part in text)
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, " ")
    return not WORD.search(text)


def newly_required(before: dict[int, Content], after: dict[int, Content]) -> Iterator[str]:
    """The columns without a default of which an INSERT of the release before knows nothing."""
    for oid, content in before.items():
        now = after.get(oid)
        for column in now.table.columns.values() if now else ():
            old = content.table.columns.get(column.number)
            had_value = old is None or (old.default is not None and not old.is_nullable)
            if column.is_required and had_value and not (old and old.is_required):
                yield f"{content.table.root}.{column.name}"
