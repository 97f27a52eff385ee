"""One text for definitions that PostgreSQL prints in several ways, though they mean the same.

PostgreSQL keeps the spelling with which an expression was created: casts of literals to text, brackets around a literal
or a list of literals, and the names of the current time. What stands in quotes is compared as it is.
"""

import re

QUOTED = re.compile(r"""E?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$""", re.S)
# In place of a quoted text: its number.
LITERAL = "\x00\\d+\x00"
CAST = r"::(?:character varying|text)(?:\[\])?"
LIST = rf"ARRAY\[{LITERAL}(?:, {LITERAL})*\]"
RULES = [
    (re.compile(rf"({LITERAL}|{LIST}){CAST}"), r"\1"),
    (re.compile(rf"(?<!\w)\(({LITERAL}|{LIST})\)"), r"\1"),
    (re.compile(r"\bCURRENT_TIMESTAMP\b(?!\()|\btransaction_timestamp\(\)"), "now()"),
]


def normal_form(definition: str) -> str:
    """The text to compare in place of a definition."""
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(match[0])
        return f"\x00{len(quoted) - 1}\x00"

    text, before = QUOTED.sub(keep, definition), ""
    while text != before:
        before = text
        for pattern, replacement in RULES:
            text = pattern.sub(replacement, text)
    return re.sub("\x00(\\d+)\x00", lambda match: quoted[int(match[1])], text)
