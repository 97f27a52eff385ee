"""The lines of Python in a rendered project's `tests/README.md` do what the page says, as they stand there."""

import re
import textwrap
from pathlib import Path

import pytest
from harness.core.settings import KEYS
from harness.guards import leaked_environ, n_plus_one
from harness.guards.base import Guard

from tests.environment import UV, synced
from tests.pages import python_blocks
from tests.rendering import ROOT, Render

# What a reader would have: imports, and the two names that stand for what they send.
PRELUDE = """\
import asyncio
import pytest
from factory import Factory, Sequence
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from shop.models import User
from tests.factories import UserFactory
from tests.harness import Create, NewClient, Queries, RunningApp, SeedData, WaitForLockWaiters

ADA = {ada}
COFFEE = {{"amount": 350, "currency": "eur", "payment_method": "pm_card_visa"}}
"""

# A block that is not a test stands in one.
FRAGMENT = """\
async def test_fragment_{number}(client: AsyncClient, create: Create, db_session: AsyncSession) -> None:
    user = await create(UserFactory)
{block}
"""


def snippets_of(page: str) -> list[str]:
    """The page's blocks of Python, each as tests, or as what stands before tests."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert blocks
    return [
        block
        if re.match(r"@pytest|async def test_|def test_|class |from |import ", block)
        else FRAGMENT.format(number=number, block=textwrap.indent(textwrap.dedent(block), "    "))
        for number, block in enumerate(blocks)
    ]


@pytest.mark.parametrize("features", [True, False], ids=["everything", "bare"])
def test_the_snippets_pass(
    render: Render, environment: Path, default_python: Path, tmp_path: Path, features: bool
) -> None:
    folder = render.copy(tmp_path / "shop", package_name="shop", auth=features, payments=features)
    page = (folder / "tests" / "README.md").read_text()
    ada = {"email": "ada@example.com"} | ({"password": "correct horse battery"} if features else {})
    more = (
        "from tests.factories import HASHED_PASSWORD\nfrom tests.harness.stripe import MockStripe\n" if features else ""
    )
    snippets = snippets_of(page)
    for number, snippet in enumerate(snippets):
        # A file each: one snippet is a factory, and takes the name of the project's own.
        file = folder / "tests" / f"test_snippet_{number}.py"
        file.write_text("\n\n".join([PRELUDE.format(ada=ada) + more, snippet]))
    project = synced(folder, environment, default_python)

    output = project.check(UV, "run", "pytest", "-q", "-k", "test_snippet_")

    count = sum(len(re.findall(r"^async def test_|^def test_", snippet, re.M)) for snippet in snippets)
    assert f"{count} passed" in output


SEEDED = """
from tests.factories import UserFactory
from tests.harness import Create


async def test_the_first_user(create: Create) -> None:
    assert (await create(UserFactory)).id > 1000
"""


@pytest.mark.parametrize("features", [True, False], ids=["everything", "bare"])
def test_the_seed_data_can_be_pasted(
    render: Render, environment: Path, default_python: Path, tmp_path: Path, features: bool
) -> None:
    folder = render.copy(tmp_path / "shop", package_name="shop", auth=features, payments=features)
    [block] = python_blocks((folder / "tests" / "README.md").read_text(), "### Seed data")
    conftest = folder / "tests" / "conftest.py"
    conftest.write_text(f"{conftest.read_text()}\n\n{block}")
    (folder / "tests" / "test_seeded.py").write_text(SEEDED)
    project = synced(folder, environment, default_python)

    output = project.check(UV, "run", "pytest", "-q", "-ra")

    assert " passed" in output


def test_each_setting_is_described(render: Render) -> None:
    page = (render() / "tests" / "README.md").read_text()

    table = page.partition("| setting | default |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.M)) == sorted(KEYS)


def test_each_check_is_described(render: Render) -> None:
    project = render()
    files = (project / "tests" / "harness" / "checks").glob("test_*.py")
    checks = re.findall(r"^(?:async )?def (test_\w+)", "\n".join(path.read_text() for path in files), re.M)

    table = (project / "tests" / "README.md").read_text().partition("| check | fails when |")[2].partition("\n\n")[0]
    assert checks
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.M)) == sorted(checks)


@pytest.mark.parametrize(
    ("page", "guard"),
    [("template/tests/README.md.jinja", leaked_environ.GUARD), ("README.md", n_plus_one.GUARD)],
    ids=["tests/README.md", "README.md"],
)
def test_the_messages_of_guards_are_quoted_as_they_are(page: str, guard: Guard) -> None:
    text = (ROOT / page).read_text()

    assert f"    guard {guard.name}: " in text
    assert f"    {guard.why}\n    {guard.instead}\n" in text
