"""What the drift check prints: the operations that are missing, what none mends, and what only the migrations have."""

from collections.abc import Iterable, Iterator, Sequence

from ..core.findings import Finding, Findings
from .attempts import Remedy
from .catalog import Difference

# The words of the keys in the baseline.
KEYS = ("only in models:", "only in migrations:", "differs:")

MISSING = "The models differ from the migrated database. Missing operations:"
DIFFERS = "The migrated database (+) differs from the models (-), and no operation was found that changes it:"
ONLY_IN_MIGRATIONS = "Only in the migrations (+), in no model:"
LIST = "list them under [tool.savepoint] of pyproject.toml:"
MANY = 10


def key(difference: Difference) -> str:
    """The key of a difference in the baseline."""
    return difference.key(*KEYS)


def add_findings(
    findings: Findings,
    remedies: Sequence[Remedy],
    left: Sequence[Difference],
    revision: str,
    *,
    note: str = "",
) -> None:
    """Add a finding for each difference.

    Args:
        remedies: operations and what they mend.
        left: what no operation mends.
        revision: the command that creates a revision, without its message.
        note: why Alembic's operations are missing.
    """
    missing = [remedy for remedy in remedies if not remedy.drops]
    new = [remedy for remedy in missing if not all(findings.lets_be(key(found)) for found in remedy.mends)]
    findings.add(
        list(_of_remedies(missing)),
        "\n".join([MISSING, *_imports(new)]),
        f'\nCreate a migration: {revision} "..." writes those of these operations that Alembic finds. Review it, and '
        "add the others to upgrade(), and their inverse to downgrade()." + note,
    )
    differing = [found for found in left if found.expected is not None]
    findings.add(
        [_finding(found, str(found)) for found in differing],
        DIFFERS,
        "Write a migration, with op.execute() if Alembic has no operation for it, or change the models. If it is "
        f"right that they differ, {LIST}\n{_ignoring(differing, findings)}{note}",
    )
    drops = [remedy for remedy in remedies if remedy.drops]
    surplus = [found for found in left if found.expected is None] + [each for drop in drops for each in drop.mends]
    surplus.sort(key=lambda found: found.name)
    new = [remedy for remedy in drops if not all(findings.lets_be(key(found)) for found in remedy.mends)]
    findings.add(
        [_finding(found, _one(found)) for found in surplus],
        ONLY_IN_MIGRATIONS,
        "\n".join([f"Add them to the models, or {LIST}", _ignoring(surplus, findings), *_of_drops(new, revision)]),
    )


def _of_remedies(remedies: Sequence[Remedy]) -> Iterator[Finding]:
    """A difference that several operations mend is described once."""
    described: set[Difference] = set()
    for remedy in remedies:
        for found in remedy.mends:
            lines = [_comment(found)] if found not in described else []
            if found is remedy.mends[-1]:
                lines.append(remedy.operation.text)
            if lines:
                yield _finding(found, "\n".join(lines))
        described |= {*remedy.mends}


def _finding(difference: Difference, line: str) -> Finding:
    return Finding(key(difference), line, key(difference))


def _comment(difference: Difference) -> str:
    """A comment of the migration: what both have, or the name of what one lacks."""
    is_of_both = difference.actual is not None and difference.expected is not None
    text = str(difference) if is_of_both else _one(difference)
    return "\n".join(f"# {line}" for line in text.splitlines())


def _one(difference: Difference) -> str:
    """On one line, with the beginning of a long definition."""
    first, *more = str(difference).splitlines()
    return f"{first[:200]} …" if more or len(first) > 200 else first


def _imports(remedies: Iterable[Remedy]) -> list[str]:
    lines = sorted({line for remedy in remedies for line in remedy.operation.imports})
    return [*lines, ""] if lines else []


def _ignoring(differences: Iterable[Difference], findings: Findings) -> str:
    names = [found.name for found in differences if not findings.lets_be(key(found))]
    quoted = [f"'{name}'" if '"' in name else f'"{name}"' for name in names[:MANY]]
    return f"ignore_drift = [{', '.join(quoted)}{', …' if len(names) > MANY else ''}]"


def _of_drops(drops: Sequence[Remedy], revision: str) -> list[str]:
    if not drops:
        return []
    lines = [*_imports(drops), *(remedy.operation.text for remedy in drops)]
    creates = f'Or, if they were removed from the models, create a migration that drops them: {revision} --empty "..."'
    return [creates, *lines]
