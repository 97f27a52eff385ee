"""Old names of reasons in a revision work until 1.0, and the summary prints the new line."""

from tests.harness.sample import Sample
from tests.preloaded import run_pytest

REVISION = '''"""New"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
{reasons}

def upgrade() -> None:
    op.execute("DELETE FROM users")
    op.create_index("ix_users_created_at", "users", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_users_created_at", "users")
'''
NEW = "tests/harness/checks/test_new_revisions.py"


def test_old_reasons_count_and_are_deprecated(sample: Sample) -> None:
    sample.write(
        "migrations/versions/new.py", REVISION.format(reasons='destroys = "no \\"users\\" yet"\nlocks = "few"')
    )

    outcome = run_pytest(sample, NEW).stdout

    assert "2 passed" in outcome, outcome
    deprecated = "in revision 0002 is deprecated and will be removed in 1.0. Write: "
    assert rf'savepoint: destroys {deprecated}destructive = "no \"users\" yet"' in outcome
    assert f'savepoint: locks {deprecated}takes_locks = "few"' in outcome


def test_without_reasons_both_checks_fail_and_say_what_to_write(sample: Sample) -> None:
    sample.write("migrations/versions/new.py", REVISION.format(reasons=""))

    outcome = run_pytest(sample, NEW).stdout

    assert "2 failed" in outcome, outcome
    assert 'destructive = "the reason"' in outcome
    assert 'takes_locks = "a few hundred rows"' in outcome
    assert "deprecated" not in outcome
