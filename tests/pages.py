"""Pages of Markdown, whose commands are tested as they stand."""

import re


def shell_blocks(page: str, heading: str) -> list[str]:
    """The blocks of shell commands in a section of a page, up to the next heading."""
    _, found, section = page.partition(f"{heading}\n")
    assert found, f"there is no {heading}"
    blocks = re.findall(r"^```sh\n(.*?)^```$", re.split(r"^#+ ", section, maxsplit=1, flags=re.M)[0], re.M | re.S)
    assert blocks, f"there are no commands in {heading}"
    return blocks
