"""GitHub's expressions, `${{ … }}`, as far as the workflows use them.

Literals, contexts (`matrix.shard`, `needs.*.result`), `!`, `==`, `!=`, `&&`, `||`, parentheses, and functions. What is
not there is an error here, and not an empty text as it is there.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

# A context is a mapping, and a function is a callable; both are found by their name.
Names = Mapping[str, Any]

_INSERTED = re.compile(r"\$\{\{(.*?)\}\}")
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|\d+|[A-Za-z_][\w-]*|==|!=|&&|\|\||[!().,*])")


def inserted(text: str, names: Names) -> str:
    """A text with the value of each expression in its place."""
    return _INSERTED.sub(lambda found: as_text(evaluate(found[1], names)), text)


def evaluate(expression: str, names: Names) -> Any:
    """The value of an expression, with or without its `${{ }}`.

    Raises:
        ValueError: it cannot be read.
        KeyError: it names what is not there.
    """
    whole = _INSERTED.fullmatch(expression.strip())
    parser = _Parser(whole[1] if whole else expression, {**_FUNCTIONS, **names})
    value = parser.either()
    if parser.tokens:
        raise ValueError(f"{expression!r} goes on: {' '.join(parser.tokens)}")
    return value


def as_text(value: Any) -> str:
    """How GitHub writes a value into a text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "join": lambda values, separator=",": separator.join(map(as_text, values)),
}


class _Parser:
    """Reads and evaluates at once, by recursive descent: one method for each level of precedence."""

    def __init__(self, expression: str, names: Names) -> None:
        self.tokens = _TOKEN.findall(expression)
        self.names = names
        if "".join(self.tokens) != re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression):
            raise ValueError(f"{expression!r} holds what is not supported")

    def either(self) -> Any:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.take("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.negated()
        if self.take("=="):
            return value == self.negated()
        if self.take("!="):
            return value != self.negated()
        return value

    def negated(self) -> Any:
        return not self.negated() if self.take("!") else self.single()

    def single(self) -> Any:
        if self.take("("):
            value = self.either()
            self.expect(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        value = self.names[token]
        return value(*self.arguments()) if callable(value) else self.properties(value)

    def arguments(self) -> list[Any]:
        self.expect("(")
        arguments: list[Any] = []
        while not self.take(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.either())
        return arguments

    def properties(self, value: Any) -> Any:
        while self.take("."):
            if self.take("*"):
                values = list(value.values())
                while self.take("."):
                    name = self.tokens.pop(0)
                    values = [each[name] for each in values]
                return values
            value = value[self.tokens.pop(0)]
        return value

    def take(self, token: str) -> bool:
        if is_next := self.tokens[:1] == [token]:
            self.tokens.pop(0)
        return is_next

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise ValueError(f"{token} is missing before {' '.join(self.tokens) or 'the end'}")
