"""The evaluator of expressions, which the other tests rely on."""

from typing import Any

import pytest

from tests.workflows.expressions import evaluate, inserted

NAMES: dict[str, Any] = {
    "github": {"ref": "refs/heads/main", "run_id": 7},
    "matrix": {"shard": 2},
    "needs": {"tests": {"result": "success"}, "lint": {"result": "skipped"}},
    "cancelled": lambda: False,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.ref != 'refs/heads/main'", False),
        ("${{ github.run_id }}", 7),
        ("!cancelled() && matrix.shard == 2", True),
        ("cancelled() || 'it''s' == 'it''s'", True),
        ("!(cancelled() || true)", False),
        ("false || null", None),
        ("join(needs.*.result, ' ')", "success skipped"),
        ("needs.tests.result", "success"),
    ],
)
def test_an_expression_has_its_value(expression: str, value: object) -> None:
    assert evaluate(expression, NAMES) == value


def test_expressions_in_a_text() -> None:
    assert inserted("shard ${{ matrix.shard }}: ${{ cancelled() }}${{ null }}", NAMES) == "shard 2: false"


@pytest.mark.parametrize(
    ("expression", "error"),
    [("matrix.shrad", KeyError), ("secrets.key", KeyError), ("1 > 0", ValueError), ("(1", ValueError)],
)
def test_an_unknown_name_or_syntax_is_an_error(expression: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        evaluate(expression, NAMES)
