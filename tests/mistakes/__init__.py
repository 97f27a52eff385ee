"""A catalogue of mistakes that reach production in this stack, each made in a rendered project, and caught there.

A family is a file: `MISTAKES`, and in `RIGHT` code that looks like one and must pass. `test_mistakes.py` makes each and
watches what catches it; README's table is written from the same entries, by `uv run python -m tests.mistakes`.
"""
