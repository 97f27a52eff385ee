"""What the file of a revision states: the revisions that it needs, and reasons for exceptions."""

from alembic.script import Script

from ..database.migrations import Migrations


def reason(script: Script, name: str) -> str | None:
    """The reason that a revision states for `name`, as in `irreversible = "the old prices are deleted"`; or None."""
    text: str | None = getattr(script.module, name, None)
    return text


def parents(migrations: Migrations, script: Script) -> list[str]:
    """The revisions that a revision needs: `down_revision` and `depends_on`."""
    named = [script.down_revision, script.dependencies]
    names = [name for names in named for name in ([names] if isinstance(names, str) else names or ())]
    return [found.revision for name in names if (found := migrations.script.get_revision(name)) is not None]
