"""Option values that several commands take."""

import re

from mgdn_edge.runtime.errors import UserError


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width) in pixels; raises UserError for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise UserError(f"--size {text} is not WIDTHxHEIGHT; two numbers, such as 640x480")
    return int(found[2]), int(found[1])
