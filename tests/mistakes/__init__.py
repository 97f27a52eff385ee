"""A catalogue of mistakes that reach production in this stack, each made in a rendered project, and caught there.

A family is a file, and a mistake an entry of its `MISTAKES`. `test_mistakes.py` makes each and watches what catches it;
README's table is written from the same entries, by `uv run python -m tests.mistakes`.
"""
