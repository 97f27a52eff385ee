"""Names of guards in marks, in settings and in the baseline."""

import pytest

from ..core.baseline import baseline_of
from ..core.deprecated import warn
from ..core.project import shown
from ..core.settings import settings_of
from .base import GUARDS, marks_of


def check(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse unknown names of guards: a misspelled name would have no effect."""
    former = {guard.formerly: guard.name for guard in GUARDS.values()}
    used = [("disabled_guards in pyproject.toml", name) for name in settings_of(config).disabled_guards]
    file = shown(baseline_of(config).path, config)
    for test, keys in baseline_of(config).guards.items():
        used += [(f"{file}: [guards]: {test}", key.partition(": ")[0]) for key in sorted(keys)]
    for item in items:
        for mark in marks_of(item):
            name = mark.args[0] if mark.args else ""
            used.append((f"{item.nodeid}: @pytest.mark.{mark.name}", name))
            if mark.name == "allow":
                place = f"{item.nodeid}: @pytest.mark.allow{mark.args}"
                arguments = ", ".join(map(repr, [former.get(name, name), *mark.args[1:]])).replace("'", '"')
                warn(config, place, f"Write: @pytest.mark.allow_guard({arguments})")
    for place, name in used:
        if name in former and "allow" not in place:
            warn(config, f'guard "{name}"', f"Write: {former[name]}")
    never = {guard.name for guard in GUARDS.values() if not guard.can_be_known}
    for test, keys in baseline_of(config).guards.items():
        if found := sorted(never.intersection(key.partition(": ")[0] for key in keys)):
            raise pytest.UsageError(
                f"{file}: [guards]: {test}: {found[0]} cannot be in a baseline, since the code would harm later tests. "
                f'Delete the entry, and mend the test or allow it: @pytest.mark.allow_guard("{found[0]}")'
            )
    if unknown := [(place, name) for place, name in used if name not in GUARDS and name not in former]:
        names = ", ".join(sorted(GUARDS))
        raise pytest.UsageError(
            "\n".join(f"{place}: unknown guard {name!r}. Guards: {names}" for place, name in unknown)
        )
