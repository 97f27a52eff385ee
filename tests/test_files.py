"""What a render consists of: which files, whose they are, and what is in none of them."""

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from pathspec import GitIgnoreSpec

from tests import ownership
from tests.rendering import ROOT, Render, files, git
from tests.variants import FEATURES, VARIANTS, Variant

# Words of a feature: a project without it says none of them, in no file and no file's name.
WORDS = {
    "auth": re.compile(
        r"\bauth|_auth|oauth|log.?in\b|jwt|passw|argon|pwdlib|bearer|token|credential|\broles?\b|admin|multipart", re.I
    ),
    "payments": re.compile(r"stripe|payment|webhook|charge|idempoten|\bcards?\b", re.I),
}

# Reviewed: files, and what a word of the feature means there. The list is short, and an entry that is not needed fails.
# Of PostgreSQL's roles.
OF_ROLES = [
    *("connections/process", "connections/redirect", "connections/session_settings", "core/settings"),
    *("database/application_role", "database/databases", "database/ownership", "database/roles_in_migrations"),
    *("database/maintenance", "postgres/server", "postgres/url"),
]
ALLOWED: dict[str, list[tuple[str, str]]] = {
    "auth": [
        # Of PostgreSQL: the password in a URL, the role that connects, how it authenticates.
        ("/.github/workflows/*.yml", "passw"),
        ("/compose.yaml", "passw"),
        ("/src/*/settings.py", "passw"),
        ("/tests/test_app.py", "passw"),
        ("/tests/README.md", "passw"),
        ("/tests/README.md", "role"),
        ("/tests/harness/connections/drivers.py", "passw"),
        *((f"/tests/harness/{module}.py", "role") for module in OF_ROLES),
        # SET LOCAL SESSION AUTHORIZATION.
        ("/tests/harness/transaction/commit_effects.py", "auth"),
        ("/tests/harness/transaction/commit_effects.py", "_auth"),
        ("/tests/harness/database/kept_databases.py", "passw"),
        ("/tests/harness/postgres/**", "passw"),
        ("/tests/harness/postgres/local.py", "auth"),
        # libpq's require_auth.
        ("/tests/harness/postgres/url.py", "_auth"),
        ("/tests/harness/reports/masking.py", "passw"),
        ("/tests/harness/reports/masking.py", "admin"),
        # Stripe's word for a card whose owner has to confirm.
        ("/tests/harness/stripe/errors.py", "auth"),
        # secrets.token_hex, of the standard library, names a container.
        ("/tests/harness/postgres/docker.py", "token"),
        # The recipe for turning it on.
        ("/tests/README.md", "auth"),
        # persist-credentials, of the action that checks out.
        ("/.github/workflows/*.yml", "credential"),
        # GitHub's token, with which an update is pushed.
        ("/.github/workflows/update.yml", "token"),
        ("/.github/workflows/update.yml", "auth"),
        ("/tests/README.md", "token"),
    ],
    # The recipe for turning it on.
    "payments": [("/tests/README.md", "payment")],
}

# Left in a checkout by tools; git ignores them.
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

NAMES = [
    {"project_name": """Größe & "Maß" 'n' {{ x }} \\ #1: $HOME""", "package_name": "zz"},
    {"project_name": "No: [x] {y} - * & ! | > % @ `z` i", "package_name": "a"},
    {"project_name": "🚀 Ракета", "package_name": "rocket"},
    {"project_name": "i" * 60, "package_name": "i" * 60},
]


def expected(variant: Variant) -> list[str]:
    """The stored list: a path, and the features that it takes."""
    features = {name for name in ("auth", "payments") if getattr(variant, name)}
    lines = (Path(__file__).parent / "rendered_files.txt").read_text().splitlines()
    entries = [line.split() for line in lines if line and not line.startswith("#")]
    return sorted(path for path, *needed in entries if features.issuperset(needed))


def matches(pattern: str, path: str) -> bool:
    return GitIgnoreSpec.from_lines([pattern]).match_file(path)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_files_are_those_of_the_stored_list(render: Render, variant: Variant) -> None:
    assert files(render(**variant.answers)) == expected(variant)


def test_no_test_is_of_a_file_that_is_not_committed() -> None:
    """A file that git does not know is in the author's renders and in nobody else's."""
    listed = set(git(ROOT, "ls-files", "-z", "template").split("\0")) - {""}
    on_disk = {path for path in (ROOT / "template").rglob("*") if path.is_file() and not CACHES & set(path.parts)}

    assert listed == {str(path.relative_to(ROOT)) for path in on_disk}


@pytest.mark.parametrize("features", FEATURES, ids=str)
def test_each_file_is_in_one_row_of_the_ownership_table(render: Render, features: dict[str, bool]) -> None:
    owners = {path: ownership.rows(path) for path in files(render(**features))}

    assert {path: rows for path, rows in owners.items() if len(rows) != 1} == {}


def test_each_row_of_the_ownership_table_has_a_file(render: Render) -> None:
    rendered = files(render())

    patterns = [pattern for patterns in ownership.TABLE.values() for pattern in patterns]
    assert [pattern for pattern in patterns if not any(matches(pattern, path) for path in rendered)] == []


def test_copier_leaves_alone_what_the_user_owns(template: Path) -> None:
    settings = yaml.safe_load((template / "copier.yml").read_text())

    users = [*ownership.USER, "/{{ tests_folder | default('tests') }}/__init__.py"]
    on_update = [f"{{% if _copier_operation == 'update' %}}{pattern}{{% endif %}}" for pattern in users]
    assert settings["_skip_if_exists"] == users
    assert [entry for entry in settings["_exclude"] if "update" in entry] == on_update


def test_the_readme_shows_the_ownership_table() -> None:
    readme = (ROOT / "README.md").read_text()

    rows = {row.split("|")[1].strip(): re.findall(r"`(/[^`]+)`", row) for row in readme.splitlines() if "| `/" in row}
    assert list(rows.values()) == list(ownership.TABLE.values())


def test_copying_twice_gives_the_same_bytes(template: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        copier.run_copy(str(template), tmp_path / name, defaults=True, vcs_ref="HEAD", quiet=True)
    copier.run_copy(str(template), tmp_path / "two", defaults=True, vcs_ref="HEAD", quiet=True, overwrite=True)

    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    assert one == two


def contents(project: Path) -> dict[str, bytes]:
    return {path: (project / path).read_bytes() for path in files(project)}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_no_jinja_survives(render: Render, variant: Variant) -> None:
    project = render(**variant.answers)

    left = {path: re.findall(r"{%.*|{#.*|(?<!\$){{.*", (project / path).read_text()) for path in files(project)}
    assert {path: found for path, found in left.items() if found} == {}
    assert [path for path in files(project) if path.endswith(".jinja") or "{" in path] == []


@pytest.mark.parametrize("features", FEATURES, ids=str)
def test_a_feature_that_is_off_leaves_no_word(render: Render, features: dict[str, bool]) -> None:
    project = render(**features)
    left = []

    for feature in (name for name, on in features.items() if not on):
        for path in files(project):
            lines = [path, *(project / path).read_text().splitlines()]
            words = {word.lower() for line in lines for word in WORDS[feature].findall(line)}
            allowed = {word for pattern, word in ALLOWED[feature] if matches(pattern, path)}
            left += [f"{path}: {word}" for word in sorted(words - allowed)]

    # The answers file names each question, whatever the answer.
    assert [word for word in left if not word.startswith(".copier-answers.yml")] == []


@pytest.mark.parametrize("feature", WORDS)
def test_each_allowed_word_is_needed(render: Render, feature: str) -> None:
    project = render(**{feature: False})

    def said(pattern: str) -> str:
        return "".join((project / path).read_text() for path in files(project) if matches(pattern, path))

    assert [
        entry for entry in ALLOWED[feature] if entry[1] not in map(str.lower, WORDS[feature].findall(said(entry[0])))
    ] == []


def test_the_harness_is_the_same_in_every_project(render: Render) -> None:
    """So that an update merges cleanly; a feature that is off leaves its files out."""
    everything = harness(render())

    cases: list[Any] = [
        *FEATURES,
        *NAMES,
        {"postgres_version": 15},
        {"python_version": "3.14"},
        {"coverage_threshold": "0"},
    ]
    for answers in cases:
        assert harness(render(**answers)).items() <= everything.items(), answers


def harness(project: Path) -> dict[str, bytes]:
    return {path: content for path, content in contents(project).items() if path.startswith("tests/harness/")}


def test_a_suffix_says_that_there_is_jinja(template: Path) -> None:
    for path in (path for path in (template / "template").rglob("*") if path.is_file()):
        has_jinja = bool(re.search(r"{%|{#|(?<!\$){{", path.read_text()))
        assert has_jinja == (path.suffix == ".jinja"), path.relative_to(template)


def test_renovate_brings_the_template_and_leaves_its_actions_alone(render: Render) -> None:
    settings = json.loads((render() / "renovate.json").read_text())

    # Renovate's copier manager is on unless somebody turns it off; it reads the answers file.
    assert settings["extends"] == ["config:recommended"]
    assert not {"enabledManagers", "copier"} & settings.keys()
    assert [(rule["matchManagers"], rule["enabled"]) for rule in settings["packageRules"]] == [
        (["github-actions"], False)
    ]


def test_no_file_name_is_illegal_on_windows(template: Path) -> None:
    names = [path.name for path in (template / "template").rglob("*")]

    assert [name for name in names if set(name) & set('"<>:|?*\\')] == []


@pytest.mark.parametrize("answers", NAMES, ids=lambda answers: answers["package_name"][:2])
def test_an_odd_name_breaks_no_file(render: Render, answers: dict[str, str]) -> None:
    project = render(**answers)

    assert tomllib.loads((project / "pyproject.toml").read_text())
    for path in project.rglob("*.py"):
        ast.parse(path.read_text(), path)
    for path in [*project.rglob("*.yml"), *project.rglob("*.yaml")]:
        assert yaml.safe_load(path.read_text()), path
