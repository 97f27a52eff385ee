"""A command in a terminal, as a picture: what it printed, in SVG."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pyte
from pyte.screens import Char

# What the command is told that there is, and how long a line may be that it prints all the same.
COLUMNS, LONGEST, ROWS = 110, 300, 400

# In pixels, of a monospaced font of 13.
WIDTH, HEIGHT, PADDING, BAR = 7.8, 18, 16, 30

COLORS = {
    "default": "#d8dee9",
    "black": "#6b7689",
    "red": "#ff7b86",
    "green": "#8fd48a",
    "brown": "#f0c674",
    "blue": "#7fb3f5",
    "magenta": "#d6a2e8",
    "cyan": "#79d4d8",
    "white": "#eceff4",
}
BACKGROUND, TITLE = "#1d2330", "#8b95a7"
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

# Typed when the command has been silent for so long, in seconds: it waits for an answer.
SILENCE = 1.5


def run(command: Sequence[str], folder: Path, env: Mapping[str, str], answers: Sequence[str] = ()) -> pyte.Screen:
    """Run a command that thinks it is looked at, typing `answers` as it asks; raises CalledProcessError."""
    screen = pyte.Screen(LONGEST, ROWS)
    stream = pyte.ByteStream(screen)
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**env, **size},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    typed = iter(answers)
    while True:
        ready, _, _ = select.select([controller], [], [], SILENCE)
        if not ready:
            if (answer := next(typed, None)) is not None:
                os.write(controller, answer.encode())
            continue
        try:
            said = os.read(controller, 65536)
        except OSError:
            # Linux's way of saying that nobody has the terminal open any more.
            break
        if not said:
            break
        # prompt_toolkit asks where the cursor is, and waits for the answer.
        if b"\x1b[6n" in said:
            os.write(controller, f"\x1b[{screen.cursor.y + 1};{screen.cursor.x + 1}R".encode())
        stream.feed(said)
    os.close(controller)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, command, "\n".join(screen.display).strip())
    return screen


def svg(title: str, screen: pyte.Screen, replaced: Mapping[str, str], left_out: str = "") -> str:
    """The picture.

    Args:
        title: stands on top, such as the command.
        screen: what it printed.
        replaced: what to print instead of what a pattern matches, such as the name of a temporary folder.
        left_out: a pattern of lines, of which the first three are enough.
    """
    lines = _without(left_out, [_line(screen, number, replaced) for number in range(_height(screen))])
    longest = max(len(re.sub(r"<[^>]*>", "", line)) for line in lines)
    width, height = longest * WIDTH + 2 * PADDING, len(lines) * HEIGHT + PADDING + BAR
    style = f"text {{ font: 13px {FONT}; fill: {COLORS['default']}; white-space: pre; }} .b {{ font-weight: 600; }}"
    rows = [
        f'<text x="{PADDING}" y="{BAR + (number + 1) * HEIGHT - 5}">{line}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" xml:space="preserve"',
            f'viewBox="0 0 {width:.0f} {height}">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
            *[f'<circle cx="{PADDING + 4 + 18 * n}" cy="15" r="5" fill="#4a5468"/>' for n in range(3)],
            f'<text x="{width / 2:.0f}" y="19" text-anchor="middle" style="fill: {TITLE}">{escape(title)}</text>',
            *rows,
            "</svg>",
            "",
        ]
    )


def _height(screen: pyte.Screen) -> int:
    return max((number for number, line in enumerate(screen.display) if line.strip()), default=0) + 1


def _without(left_out: str, lines: list[str]) -> list[str]:
    found = [line for line in lines if left_out and re.search(left_out, line)]
    if len(found) <= 3:
        return lines
    more = f"    … and {len(found) - 3} more"
    return [more if line is found[3] else line for line in lines if line not in found[4:] or line is found[3]]


def _line(screen: pyte.Screen, number: int, replaced: Mapping[str, str]) -> str:
    cells = [screen.buffer[number][column] for column in range(LONGEST)]
    # A wide character is followed by a cell that is empty.
    length = max((column for column, cell in enumerate(cells, 1) if cell.data.strip()), default=0)
    return "".join(_runs(cells[:length], replaced))


def _runs(cells: Sequence[Char], replaced: Mapping[str, str]) -> Iterator[str]:
    for (color, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in run)
        for pattern, others in replaced.items():
            text = re.sub(pattern, others, text)
        fill = f' fill="{_shade(color)}"' if color != "default" else ""
        weight = ' class="b"' if bold else ""
        yield f"<tspan{fill}{weight}>{escape(text)}</tspan>" if fill or weight else escape(text)


def _shade(color: str) -> str:
    # pyte gives the colors that have no name as six hexadecimal digits.
    return COLORS.get(color.removeprefix("bright"), f"#{color}")
