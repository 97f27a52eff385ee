"""Values that a CHECK may allow: what its expression names, what is near it, and common shapes of texts.

PostgreSQL decides which of them satisfy the expression, see `satisfying`.
"""

import re
from collections.abc import Iterable, Iterator

from .types import Type
from .values import HEADER, NUMBERS, TEXTS, value

LITERAL = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w.'])")
SHAPES = ("row1@example.com", "https://example.com/1", "+4915112345", "EUR", "USD", "en", "de", "en-US", "ab1", "a-1")
JSON = ("{}", "[]", '{"number": 1}', '["a"]', "1", '"a"')
INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
# One letter, class or escape of a regular expression, and how often it stands there.
PART = re.compile(r"(\[[^\]]+\]|\\.|[^\\])(\{(\d+)(?:,\d*)?\}|[+*?])?")
CLASSES = {"\\d": "0123456789", "\\w": "abcdef", "\\s": " ", ".": "abc"}


def candidates(type_: Type, modifier: int, label: str, numbers: Iterable[int], expression: str) -> list[str]:
    """Values for a column, the likeliest first."""
    while type_.kind == "d" and type_.base is not None:
        type_, modifier = type_.base, type_.base_modifier
    literals = [text.replace("''", "'") for text in LITERAL.findall(expression)]
    made = [text for number in numbers if (text := value(type_, modifier, number, label)) is not None]
    counts = [float(text) for text in NUMBER.findall(expression)] + [float(text) for text in literals if _is_int(text)]
    found: list[str] = []
    if type_.name in TEXTS and not type_.is_array:
        length = modifier - HEADER if modifier > HEADER else 10_000
        lengths = [int(count) for count in counts if 0 < count <= 300]
        patterns = [text for text in literals if re.search(r"[\^$*%\[\\]", text)]
        found += [text for text in literals if text not in patterns]
        found += [example for text in patterns for example in _examples(text)]
        found += [*made, *SHAPES, *(made[0][-size:].rjust(size, "a") for size in lengths if made), "", "a", "1"]
        found += patterns
        found = [text for text in found if len(text) <= length]
    elif type_.name in NUMBERS and not type_.is_array:
        near = {number + step for number in counts for step in (0, 1, -1, 2, 0.5)} | {0.0, 1.0, -1.0, 0.5}
        found += [text for number in sorted(near, key=abs) if (text := _fitting(number, type_.name, modifier))]
        found = [*made, *found]
    elif type_.name in ("json", "jsonb"):
        found = [*made, *JSON]
    elif type_.is_array:
        found = [*made, "{}"]
    elif type_.kind == "e":
        found = type_.labels
    elif type_.name == "bool":
        found = ["t", "f"]
    else:
        found = [
            *(text for text in literals if type_.name[:4] in ("date", "time") and re.match(r"\d{4}-", text)),
            *made,
        ]
    return list(dict.fromkeys(found))


def _is_int(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,18}", text) is not None


def _fitting(number: float, name: str, modifier: int) -> str | None:
    if name in INTEGERS:
        return str(int(number)) if number == int(number) and abs(number) < INTEGERS[name] else None
    if name == "numeric" and modifier > HEADER:
        precision, scale = (modifier - HEADER) >> 16, (modifier - HEADER) & 0x7FF
        if abs(number) >= 10 ** (precision - scale):
            return None
    return f"{number:g}" if abs(number) < 1e6 else f"{number:.0f}"


def _examples(pattern: str) -> Iterator[str]:
    """Texts that a simple regular expression matches; of others, texts that it may not match."""
    if not pattern.startswith(("^", "[", "\\")):
        return
    parts = PART.findall(pattern.removeprefix("^").removesuffix("$"))
    for choice in range(8):
        text = ""
        for place, (part, times, count) in enumerate(parts):
            letters = CLASSES.get(part) or (_letters(part[1:-1]) if len(part) > 2 else part[-1])
            repeated = int(count) if count else 0 if times in ("*", "?") else 1
            text += "".join(letters[(choice + place * repeated) % len(letters)] for _ in range(repeated))
        yield text


def _letters(inside: str) -> str:
    """The first letters of a class of a regular expression: `A-Z0-9_`."""
    found = ""
    for first, last in re.findall(r"(\\?.)(?:-(.))?", inside):
        letter = first[-1]
        more = CLASSES.get(first) or "".join(map(chr, range(ord(letter), ord(last or letter) + 1)))[:8]
        found += more
    return found or "a"
