"""Made-up values of each type, as text. Those of two numbers differ, and lose their difference when they are shortened.

Texts differ at their end, times in their minutes, numbers in their fraction: a migration that cuts them is noticed.
"""

import json
import re
import zlib
from collections.abc import Callable

from .types import Type

# The bytes of a modifier that are not the length.
HEADER = 4
LONG = 60
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TEXTS = ("text", "varchar", "bpchar", "citext", "name")
NUMBERS = ("int2", "int4", "int8", "float4", "float8", "numeric", "money")

# Texts of 36 letters are UUIDs too.
UUID = "-0000-4000-8000-"
UUID_LENGTH = 36
# By the name of a column: a migration may expect the shape.
SHAPES = {
    re.compile(r"e?mail", re.I): "{}@example.com",
    re.compile(r"ur[il]$|link|website|href", re.I): "https://example.com/{}",
}

# By the name of a type; `n` differs for each row.
MADE: dict[str, Callable[[int], str]] = {
    "bool": lambda n: "ft"[n % 2],
    "date": lambda n: _date(n),
    "time": lambda n: _time(n),
    "timetz": lambda n: f"{_time(n)}+00",
    "timestamp": lambda n: f"2026-01-05 {_time(n)}",
    "timestamptz": lambda n: f"2026-01-05 {_time(n)}+00",
    "interval": lambda n: f"{n + 1} hours",
    "bytea": lambda n: f"\\x{n:04x}",
    "json": lambda n: json.dumps({"number": n}),
    "jsonb": lambda n: json.dumps({"number": n}),
    "jsonpath": lambda n: f"$.a{n}",
    "xml": lambda n: f"<a>{n}</a>",
    "inet": lambda n: f"10.0.{n // 250 % 250}.{n % 250}",
    "cidr": lambda n: f"10.{n // 250 % 250}.{n % 250}.0/24",
    "macaddr": lambda n: f"08:00:2b:01:{n // 256 % 256:02x}:{n % 256:02x}",
    "macaddr8": lambda n: f"08:00:2b:01:02:03:{n // 256 % 256:02x}:{n % 256:02x}",
    "char": lambda n: DIGITS[n % 36],
    "oid": lambda n: str(n + 1),
    "pg_lsn": lambda n: f"0/{n + 1:X}",
    "tsvector": lambda n: f"word{n}",
    "tsquery": lambda n: f"word{n}",
    "point": lambda n: f"({n},1)",
    "line": lambda n: "{" + f"1,-1,{n}" + "}",
    "lseg": lambda n: f"[(0,0),({n},1)]",
    "box": lambda n: f"({n + 1},1),(0,0)",
    "path": lambda n: f"((0,0),({n},1))",
    "polygon": lambda n: f"((0,0),({n},1),(1,1))",
    "circle": lambda n: f"<(0,0),{n + 1}>",
    "hstore": lambda n: f"number=>{n}",
    "ltree": lambda n: f"top.number{n}",
}


def value(type_: Type, modifier: int, number: int, label: str) -> str | None:
    """A value, other for each number; None for a type that is not known.

    Args:
        modifier: the catalog's `atttypmod`, such as a length.
        label: the column as `table.column`, by which texts and numbers of two columns differ.
    """
    base = type_.base
    if type_.is_array:
        element = value(base, modifier, number, label) if base else None
        return None if element is None else "{" + _quoted(element) + "}"
    match type_.kind:
        case "e":
            return type_.labels[number % len(type_.labels)] if type_.labels else None
        case "d" if type_.allowed:
            return type_.allowed[number % len(type_.allowed)]
        case "d" if base:
            return value(base, type_.base_modifier, number, label)
        case "r" | "m" if base:
            bounds = value(base, -1, 2 * number, label), value(base, -1, 2 * number + 1, label)
            text = None if None in bounds else f"[{bounds[0]},{bounds[1]})"
            return "{" + text + "}" if text and type_.kind == "m" else text
        case "c":
            fields = [value(part, own, number, label) for part, own in type_.fields]
            return None if None in fields else f"({','.join(_quoted(each or '') for each in fields)})"
    return _base_value(type_.name, modifier, number, label)


def _base_value(name: str, modifier: int, n: int, label: str) -> str | None:
    if name in TEXTS and modifier - HEADER == UUID_LENGTH:
        name = "uuid"
    if name in TEXTS:
        return text_value(label, n, modifier - HEADER if modifier > HEADER else LONG)
    if name in NUMBERS:
        return _number(name, modifier, n, label)
    if name == "uuid":
        return f"{zlib.crc32(label.encode()):08x}{UUID}{n:012x}"
    if name in ("bit", "varbit"):
        length = modifier if modifier > 0 else 1 if name == "bit" else 8
        return f"{n % 2**length:b}".zfill(length)
    if name in ("vector", "halfvec"):
        return f"[{','.join([str(n)] * (modifier if modifier > 0 else 3))}]"
    if name in ("geometry", "geography"):
        srid = (modifier & 0x0FFFFF00) >> 8 if modifier > 0 else 0
        return f"SRID={srid};POINT({n % 80} 1)" if srid else f"POINT({n % 80} 1)"
    made = MADE.get(name)
    return made(n) if made else None


def text_value(label: str, n: int, length: int) -> str:
    """A text of two words, which differs at its end and leaves room: a migration may add to it."""
    label = label.rpartition(".")[2]
    shape = next((shape for pattern, shape in SHAPES.items() if pattern.search(label)), "{}")
    length = length if length < 5 else min(length * 2 // 3, LONG)
    room = length - len(shape) + 2
    if room < 16:
        digits = DIGITS[n // 36 % 36] + DIGITS[n % 36]
        return ("a" * length + digits)[-length:]
    first = "" if shape != "{}" else f"Ä{label} "[-room // 2 :]
    number = str(n + 101)
    return shape.format(first + "x" * (room - len(first) - len(number)) + number)


def _number(name: str, modifier: int, n: int, label: str) -> str:
    # Columns have different numbers, of which none is small: revisions insert rows with small ids.
    whole = 101 + zlib.crc32(label.encode()) % 60 * 500
    scale = 2
    if name == "numeric" and modifier > HEADER:
        # Precision and scale; a negative scale is one of 11 bits.
        precision, scale = (modifier - HEADER) >> 16, (((modifier - HEADER) & 0x7FF) ^ 1024) - 1024
        whole = whole % 10 ** max(precision - scale, 0)
    if name.startswith("int") or scale <= 0:
        return str(whole + n)
    fractions, digits = (4, 1) if scale == 1 else (30, 2)
    return f"{whole + n // fractions}.{10 ** (digits - 1) + n % fractions}"


def _time(n: int) -> str:
    return f"{10 + n // 60 % 12}:{n % 60:02}:07"


def _date(n: int) -> str:
    return f"20{26 + n // 336 % 70:02}-{1 + n // 28 % 12:02}-{1 + n % 28:02}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
