"""Each question: its default, its bounds, and what it refuses.

A refusal names the question, says what is accepted, and writes nothing.
"""

import keyword
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from tests.quick_renders import COPIER
from tests.rendering import Render

ONE_LINE = "must be one line of 1 to 60 characters with at least one letter"
IDENTIFIER = "must be a lower-case ASCII identifier of at most 60 characters"
TAKEN = "is taken; "
COPY = [*COPIER, "copy", "--defaults", "--vcs-ref", "HEAD"]
PERCENT = "must be a whole number from 0 to 100"

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def ask(template: Path, target: Path) -> Ask:
    """Render with these answers, trusting nothing: the answers that are remembered."""

    def ask(**data: object) -> dict[str, Any]:
        copier.run_copy(str(template), target, data=data, defaults=True, vcs_ref="HEAD", quiet=True)
        return answers(target)

    return ask


def answers(project: Path) -> dict[str, Any]:
    remembered: dict[str, Any] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return {name: answer for name, answer in remembered.items() if not name.startswith("_")}


def questions(template: Path) -> dict[str, Any]:
    """The questions that are asked, in their order."""
    asked: dict[str, Any] = yaml.safe_load((template / "copier.yml").read_text())
    return {
        name: details
        for name, details in asked.items()
        if not name.startswith(("_", "ci_")) and details.get("when", True)
    }


def taken_names(template: Path) -> set[str]:
    return set(yaml.safe_load((template / "copier.yml").read_text())["taken_names"]["default"])


def test_defaults(render: Render) -> None:
    assert answers(render()) == {
        "project_name": "My Service",
        "package_name": "my_service",
        "python_version": "3.11",
        "postgres_version": 18,
        "postgres_image": "",
        "auth": True,
        "payments": True,
        "coverage_threshold": "80",
    }


def test_every_question_says_what_it_decides(template: Path) -> None:
    assert list(questions(template)) == [
        "service",
        "tests_folder",
        "project_name",
        "package_name",
        "python_version",
        "postgres_version",
        "postgres_image",
        "auth",
        "payments",
        "coverage_threshold",
    ]
    for name, details in questions(template).items():
        assert "?" in details["help"], name
        # Copier cuts a line that is longer than the terminal: 80 columns, of which its microphone takes three.
        assert max(map(len, details["help"].splitlines())) <= 76, name


def test_nothing_asks_for_trust(template: Path) -> None:
    settings = yaml.safe_load((template / "copier.yml").read_text())

    assert not {"_tasks", "_jinja_extensions"} & set(settings)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_name", "x"),
        ("project_name", "x" * 60),
        ("project_name", "Größe & \"Maß\" {{ 'x' }} \\ #1"),
        ("project_name", "Сервис"),
        ("package_name", "a"),
        ("package_name", "a" * 60),
        ("package_name", "v2_api9"),
        ("python_version", "3.11"),
        ("python_version", "3.12"),
        ("python_version", "3.13"),
        ("python_version", "3.14"),
        ("postgres_version", 15),
        ("postgres_version", 16),
        ("postgres_version", 17),
        ("postgres_version", 18),
        ("postgres_image", "pgvector/pgvector:pg18"),
        ("postgres_image", "registry.example.com:5000/team/postgres:18.1"),
        ("auth", True),
        ("auth", False),
        ("payments", True),
        ("payments", False),
        ("coverage_threshold", "0"),
        ("coverage_threshold", "9"),
        ("coverage_threshold", "100"),
    ],
)
def test_accepted(ask: Ask, question: str, answer: object) -> None:
    assert ask(**{question: answer})[question] == answer


@pytest.mark.parametrize(
    ("project_name", "package_name"),
    [
        ("Order Desk", "order_desk"),
        ("Zoë's Shop!", "zo_s_shop"),
        ("3 Bears", "bears"),
        ("Сервис", "service"),
        ("Email", "email_service"),
        ("FastAPI", "fastapi_service"),
        ("Tests", "tests_service"),
        ("import", "import_service"),
    ],
)
def test_package_name_follows_the_project_name(ask: Ask, project_name: str, package_name: str) -> None:
    assert ask(project_name=project_name)["package_name"] == package_name


@pytest.mark.parametrize(
    ("question", "answer", "accepted"),
    [
        ("project_name", "", ONE_LINE),
        ("project_name", "   ", ONE_LINE),
        ("project_name", "x" * 61, ONE_LINE),
        ("project_name", "2026 - 11", ONE_LINE),
        ("project_name", "two\nlines", ONE_LINE),
        ("package_name", "", IDENTIFIER),
        ("package_name", "My_Service", IDENTIFIER),
        ("package_name", "my-service", IDENTIFIER),
        ("package_name", "my.service", IDENTIFIER),
        ("package_name", "my service", IDENTIFIER),
        ("package_name", "9lives", IDENTIFIER),
        ("package_name", "größe", IDENTIFIER),
        ("package_name", "_private", IDENTIFIER),
        ("package_name", "class_", IDENTIFIER),  # no distribution's name
        ("package_name", "service\n", IDENTIFIER),
        ("package_name", "../service", IDENTIFIER),
        ("package_name", "a" * 61, IDENTIFIER),
        ("package_name", "async", TAKEN),
        ("package_name", "email", TAKEN),
        ("package_name", "compression", TAKEN),  # since Python 3.14
        ("package_name", "tests", TAKEN),
        ("package_name", "harness", TAKEN),
        ("package_name", "migrations", TAKEN),
        ("package_name", "fastapi", TAKEN),
        ("coverage_threshold", "-1", PERCENT),
        ("coverage_threshold", "101", PERCENT),
        ("coverage_threshold", "80.5", PERCENT),
        ("coverage_threshold", "80%", PERCENT),
        ("coverage_threshold", "high", PERCENT),
        ("coverage_threshold", "", PERCENT),
        ("coverage_threshold", True, PERCENT),
        ("postgres_image", "postgis/postgis", "must be an image with a tag, such as postgis/postgis:18-3.6"),
        ("postgres_image", "postgres:18 ", "must be an image with a tag, such as postgis/postgis:18-3.6"),
    ],
)
def test_refused(ask: Ask, target: Path, question: str, answer: object, accepted: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"question '{question}': {accepted}")):
        ask(**{question: answer})

    assert not target.exists()


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        (
            "python_version",
            "3.10",
            "Invalid choice for 'python_version': '3.10' is not in ['3.11', '3.12', '3.13', '3.14']",
        ),
        ("postgres_version", 14, "Invalid choice for 'postgres_version': 14 is not in [15, 16, 17, 18]"),
        ("postgres_version", "newest", "invalid literal for int() with base 10: 'newest'"),
        ("project_name", None, 'to question "project_name" of type "str"'),
        ("auth", None, 'to question "auth" of type "bool"'),
    ],
)
def test_refused_by_copier(ask: Ask, target: Path, question: str, answer: object, message: str) -> None:
    """Copier's own words, recorded: a choice is named well, a wrong type is not."""
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        ask(**{question: answer})

    assert not target.exists()


def test_taken_by_copier_without_a_word(ask: Ask) -> None:
    """Recorded too: any word is a yes, and an answer to no question is dropped."""
    remembered = ask(auth="perhaps", payments="no", colour="red")

    assert (remembered["auth"], remembered["payments"]) == (True, False)
    assert "colour" not in remembered


def test_an_undefined_name_stops_a_render(template: Path, tmp_path: Path) -> None:
    """StrictUndefined: a template that names what nobody asked fails here, not as a hole in somebody's file."""
    broken = tmp_path / "broken"
    (broken / "template").mkdir(parents=True)
    (broken / "copier.yml").write_text((template / "copier.yml").read_text())
    (broken / "template" / "hole.txt.jinja").write_text("{{ projet_name }}")

    done = subprocess.run([*COPY, str(broken), str(tmp_path / "project")], capture_output=True, text=True)

    assert done.returncode != 0
    assert "'projet_name' is undefined" in done.stderr
    assert not (tmp_path / "project").exists()


def test_a_folder_with_files_is_asked_about(template: Path, target: Path) -> None:
    """Copier refuses no folder: it asks file by file, and keeps the file if nobody is there to answer."""
    target.mkdir()
    (target / "pyproject.toml").write_text("mine\n")

    done = subprocess.run([*COPY, str(template), str(target)], stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert "pyproject.toml" in done.stderr
    assert (target / "pyproject.toml").read_text() == "mine\n"


def test_the_command_line_names_the_refused_question(template: Path, target: Path) -> None:
    command = [*COPY, "-d", "coverage_threshold=lots", str(template), str(target)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith(f"question 'coverage_threshold': {PERCENT}")
    assert not target.exists()


def test_what_python_takes_is_taken(template: Path) -> None:
    possible = {name for name in sys.stdlib_module_names | set(keyword.kwlist) if name.islower() and name[0] != "_"}

    assert possible <= taken_names(template)


@pytest.mark.parametrize("features", [True, False])
def test_what_the_service_installs_is_taken(template: Path, render: Render, features: bool) -> None:
    project = tomllib.loads((render(auth=features, payments=features) / "pyproject.toml").read_text())
    required = list(project["project"]["dependencies"])
    for group in project["dependency-groups"].values():
        required += [name for name in group if isinstance(name, str)]

    distributions = {re.split(r"[^A-Za-z0-9._-]", name)[0].lower().replace("-", "_") for name in required}

    assert distributions <= taken_names(template)


def test_the_message_gives_the_next_commands(template: Path, tmp_path: Path) -> None:
    target = tmp_path / "a folder" / "project"
    command = [*COPY, "-d", "postgres_version=17", str(template), str(target)]

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    said = [line.strip().split("  ")[0] for line in done.stderr.splitlines()]
    commands = [
        f"cd '{target}'",
        "git init",
        "uv sync",
        "uv run pytest",
        'git add . && git commit -m "Render from Savepoint"',
    ]
    assert [line for line in said if line in commands] == commands
    assert "PostgreSQL 17" in done.stderr


def test_an_image_is_used_everywhere(render: Render) -> None:
    project = render(postgres_image="pgvector/pgvector:pg18")

    assert "    image: pgvector/pgvector:pg18\n" in (project / "compose.yaml").read_text()
    assert 'postgres_image = "pgvector/pgvector:pg18"\n' in (project / "pyproject.toml").read_text()
    for name, number in (("tests", 2), ("nightly", 2), ("update", 1)):
        workflow = (project / ".github" / "workflows" / f"{name}.yml").read_text()
        assert workflow.count("image: pgvector/pgvector:pg18 #") == number
        assert "image: postgres:" not in workflow
