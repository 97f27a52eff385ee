"""A rendered project, and a day in the life of one whose owner has edited everything."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import copier

from tests import ownership
from tests.rendering import git

MARKERS = r"^(<{7}|>{7}) "

# As Copier leaves one.
CONFLICT = "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"

# Setext headings and a table fool `git diff --check`.
NO_CONFLICT = """
Heading
=======

<<<<<<<not a marker
a <<<<<<< b
>>>>>>>>>> quoted
"""


@dataclass(frozen=True)
class Owned:
    """A project in a repository of its owner's, all of it committed."""

    folder: Path

    @classmethod
    def rendered(cls, source: Path, version: str, folder: Path, **answers: object) -> "Owned":
        """A render of a version of the template, as its owner commits it."""
        copier.run_copy(str(source), folder, data=answers, defaults=True, vcs_ref=version, quiet=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
        owned = cls(folder)
        owned.commit("Render from Savepoint")
        return owned

    def copy(self, folder: Path) -> "Owned":
        """The same project in another folder, with its history."""
        return Owned(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def update(self, version: str, *, trust: bool = False, answers_file: str | None = None, **answers: object) -> None:
        """`copier update`, to a version; what it refuses is an exception of Copier's."""
        copier.run_update(
            self.folder,
            answers_file=answers_file,
            vcs_ref=version,
            data=answers,
            defaults=True,
            overwrite=True,
            skip_answered=not answers,
            quiet=True,
            unsafe=trust,
        )

    def changed(self) -> list[str]:
        """Every file that differs from the last commit, new ones and deleted ones too."""
        listed = self.git("status", "--porcelain", "--untracked-files=all", "-z", "--no-renames")
        return sorted(line[3:] for line in listed.split("\0") if line)

    def conflicts(self) -> list[str]:
        """The files with conflict markers, found as the rendered project's own CI does."""
        command = ["git", "grep", "--untracked", "-lE", MARKERS]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True).stdout.splitlines()

    def contents(self, *owners: str) -> dict[str, bytes]:
        """The files that git does not ignore, of some owners, or all."""
        listed = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
        return {
            path: (self.folder / path).read_bytes()
            for path in filter(None, listed.split("\0"))
            if (self.folder / path).is_file() and (not owners or owner_of(path) in owners)
        }

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def first(self, *paths: str) -> str:
        """The first of some paths that is there."""
        return next(path for path in paths if (self.folder / path).exists())

    def write(self, path: str, content: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(content)

    def replace(self, path: str, old: str, new: str) -> None:
        """An edit; what it looks for has to be there, once."""
        content = self.read(path)
        assert content.count(old) == 1, f"{old!r} stands {content.count(old)} times in {path}"
        self.write(path, content.replace(old, new))

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        self.write(path, change(self.read(path)))


def owner_of(path: str) -> str | None:
    """ "user", "template" or "shared"; None for a file that no render has."""
    rows = ownership.rows(path)
    return rows[0].partition(":")[0] if rows else None


NOTES = '''\
"""Notes that users keep."""

from fastapi import APIRouter, HTTPException

from my_service.auth import CurrentUser
from my_service.deps import Db, Id
from my_service.models import Note
from my_service.schemas import NoteCreate, NoteOut

router = APIRouter(prefix="/notes", tags=["notes"])


@router.post("", status_code=201, response_model=NoteOut)
async def write(body: NoteCreate, db: Db, current: CurrentUser) -> Note:
    """Keep a note."""
    note = Note(user_id=current.id, text=body.text)
    db.add(note)
    await db.flush()
    return note


@router.get("/{id}", response_model=NoteOut)
async def read(id: Id, db: Db, current: CurrentUser) -> Note:
    """A note of one's own."""
    note = await db.get(Note, id)
    if note is None or note.user_id != current.id:
        raise HTTPException(404, "no such note")
    return note
'''

NOTE_MODEL = '''

class Note(Base):
    """What somebody wants to remember."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    text: Mapped[str] = mapped_column(String(1000))
'''

NOTE_SCHEMAS = '''

class NoteCreate(BaseModel):
    """A note to be kept."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\\x00]*$")]


class NoteOut(BaseModel):
    """A note."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str
'''

NOTE_MIGRATION = '''\
"""Notes

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notes_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )
    op.create_index(op.f("ix_notes_user_id"), "notes", ["user_id"])


def downgrade() -> None:
    op.drop_table("notes")
'''

NOTE_FACTORY = '''

class NoteFactory(Factory[Note]):
    """A note of a user that has been made."""

    class Meta:
        model = Note

    text = Sequence(lambda number: f"note {number}")
'''

NOTE_TESTS = '''\
"""Notes: kept, and shown to nobody else."""

import idna
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from my_service.models import User

from tests.factories import NoteFactory
from tests.harness import Create


async def test_keep_a_note(user_client: AsyncClient) -> None:
    response = await user_client.post("/notes", json={"text": "milk"})

    assert response.status_code == 201
    assert (await user_client.get(f"/notes/{response.json()['id']}")).json()["text"] == "milk"


async def test_anothers_note(
    user_client: AsyncClient, admin_client: AsyncClient, create: Create, db_session: AsyncSession
) -> None:
    admin = (await db_session.scalars(select(User).where(User.role == "admin"))).one()
    note = await create(NoteFactory, user_id=admin.id)

    assert (await user_client.get(f"/notes/{note.id}")).status_code == 404
    assert (await admin_client.get(f"/notes/{note.id}")).status_code == 200


def test_what_the_owner_depends_on(greeting: str) -> None:
    assert idna.encode(greeting) == b"hello"
'''

DATABASE_TESTS = '''\
"""By names that the harness has had before 0.4."""

from typing import Any


def test_a_database_without_a_schema(postgres: Any, empty_database: str) -> None:
    with postgres.connect(empty_database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
'''

# Since 0.3.0.
GUARD_TESTS = """

@pytest.mark.allow("environment")
def test_a_variable_that_stays(until_waiting_for_locks: UntilWaitingForLocks) -> None:
    os.environ["OF_THE_OWNER"] = "1"
"""

GREETING = '''

@pytest.fixture
def greeting() -> str:
    """A fixture of the owner's own."""
    return "hello"
'''


def live_in(project: Owned) -> None:
    """A day's work, in a default project: every kind of edit that an owner makes. Its suite passes afterwards."""
    # A table with its migration, route, schemas, factory, fixture and tests.
    project.write("src/my_service/notes.py", NOTES)
    project.edit("src/my_service/models.py", lambda text: text + NOTE_MODEL)
    project.edit("src/my_service/schemas.py", lambda text: text + NOTE_SCHEMAS)
    project.write("migrations/versions/0003_notes.py", NOTE_MIGRATION)
    project.replace("tests/factories.py", "import Role, User", "import Note, Role, User")
    project.edit("tests/factories.py", lambda text: text + NOTE_FACTORY)
    project.edit("tests/conftest.py", lambda text: text + GREETING)
    project.write("tests/test_notes.py", NOTE_TESTS)
    project.write("tests/test_database.py", DATABASE_TESTS)
    if (project.folder / "tests/harness/guards.py").exists():
        project.edit("tests/test_database.py", lambda text: text + GUARD_TESTS)
        project.replace(
            "tests/test_database.py",
            "from typing import Any\n",
            "import os\nfrom typing import Any\n\nimport pytest\n\nfrom tests.harness import UntilWaitingForLocks\n",
        )
        project.replace(
            "pyproject.toml", 'testpaths = ["tests"]\n', 'testpaths = ["tests"]\nslow_test_seconds = "30"\n'
        )
    project.replace(
        "src/my_service/main.py",
        "    app.include_router(users.router)\n",
        "    app.include_router(accounts.router)\n    app.include_router(notes.router)\n",
    )

    # A module that has another name now.
    project.git("mv", "src/my_service/users.py", "src/my_service/accounts.py")
    project.replace(
        "src/my_service/main.py",
        "import auth, errors, payments, users\n",
        "import accounts, auth, errors, notes, payments\n",
    )

    # Samples that are not wanted.
    for sample in ("tests/test_app.py", ".env.example"):
        (project.folder / sample).unlink()

    # Dependencies, settings and tools.
    project.replace("pyproject.toml", '  "pwdlib[argon2]', '  "idna>=3.10",\n  "pwdlib[argon2]')
    project.replace(
        "pyproject.toml",
        'dev = [{ include-group = "harness" }]',
        'dev = [{ include-group = "harness" }, "sortedcontainers>=2.4"]',
    )
    project.replace("pyproject.toml", "line-length = 120", "line-length = 120 # as the owner likes it")
    project.edit(".gitignore", lambda text: "/notes-of-the-owner/\n" + text)
    project.replace("compose.yaml", '"127.0.0.1:5432:5432"', '"127.0.0.1:5433:5432"')
    project.write("README.md", "# My Service\n\nIts owner has rewritten this page.\n")
    project.write("Makefile", "test:\n\tuv run pytest\n")

    # Files of the template's, two of them with another name since.
    missing_column = project.first(
        "tests/harness/undefined.py", "tests/harness/missing_column.py", "tests/harness/reports/missing_column.py"
    )
    project.replace(missing_column, '"undefined")\n', '"undefined")  # as the owner likes it\n')
    client = project.first("tests/harness/client.py", "tests/harness/app/client.py")
    project.replace(client, 'base_url="http://test"', 'base_url="http://owner.test"')
    project.replace("tests/README.md", "## Factories\n", "## Factories\n\nThe owner's factories are in factories.py.\n")
    project.replace(
        "migrations/env.py", '    "compare_type": True,\n', '    "compare_type": True,\n    "include_schemas": False,\n'
    )
    project.replace(".github/workflows/tests.yml", "timeout-minutes: 15", "timeout-minutes: 25")

    project.commit("A day's work")
