"""What the tests of the synchronous service have in common."""

import textwrap

import pytest

from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed, Outcome

PSYCOPG, PSYCOPG2 = (
    "postgresql+psycopg://notebook@localhost/notebook",
    "postgresql+psycopg2://notebook@localhost/notebook",
)
BOTH = pytest.mark.parametrize("url", [PSYCOPG, PSYCOPG2], ids=["psycopg", "psycopg2"])
IMPORTS = """
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from app import crud
from app.db import ADMIN, engine
from app.main import app
from app.models import NewNote, NewUser, Note, User
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlmodel import Session, func, select

"""


def written(notebook: Changed, tests: str, name: str = "tests/test_own.py") -> Changed:
    """The service with another module of tests."""
    (notebook.folder / name).write_text(IMPORTS + textwrap.dedent(tests))
    return notebook


def in_order(notebook: Changed, *arguments: str, **env: str) -> Outcome:
    return notebook.pytest_from_start("-p", "no:randomly", *arguments, **env)


def add_lifespan(notebook: Changed, source: str) -> None:
    """Give the application the `lifespan` of this source."""
    (notebook.folder / "app/lifespan.py").write_text(source)
    Edit("app/main.py", '(title="Notebook")', '(title="Notebook", lifespan=lifespan)').make(notebook.folder)
    Edit("app/main.py", "from app.routes import", "from app.lifespan import lifespan\nfrom app.routes import").make(
        notebook.folder
    )
