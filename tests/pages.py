"""Pages of Markdown, whose commands are tested as they stand."""

import re


def shell_blocks(page: str, heading: str) -> list[str]:
    """The blocks of shell commands in a section of a page, up to the next heading."""
    _, found, section = page.partition(f"{heading}\n")
    assert found, f"there is no {heading}"
    blocks = re.findall(r"^```sh\n(.*?)^```$", re.split(r"^#+ ", section, maxsplit=1, flags=re.M)[0], re.M | re.S)
    assert blocks, f"there are no commands in {heading}"
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
