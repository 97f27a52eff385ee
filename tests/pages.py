"""Pages of Markdown, whose commands are tested as they stand."""

import re


def shell_blocks(page: str, heading: str) -> list[str]:
    """The blocks of shell commands in a section of a page, up to the next heading."""
    return _blocks(page, heading, "sh")


def python_blocks(page: str, heading: str) -> list[str]:
    """The same of Python."""
    return _blocks(page, heading, "python")


def toml_blocks(page: str, heading: str) -> list[str]:
    """The same of settings."""
    return _blocks(page, heading, "toml")


def json_blocks(page: str, heading: str) -> list[str]:
    """The same of JSON."""
    return _blocks(page, heading, "json")


def _blocks(page: str, heading: str, language: str) -> list[str]:
    _, found, section = page.partition(f"{heading}\n")
    assert found, f"there is no {heading}"
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", re.split(r"^#+ ", section, maxsplit=1, flags=re.M)[0], re.M | re.S
    )
    assert blocks, f"there is no block of {language} in {heading}"
    return blocks


def between(page: str, marker: str, text: str) -> str:
    """The page with this text between two comments, `<!-- marker:begin -->` and `<!-- marker:end -->`, and nothing else
    changed; raises ValueError without them."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"there are no {begin} and {end} in the page")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"
