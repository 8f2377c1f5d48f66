"""Texts of data (class names, reasons, notes) in a page of Markdown, where none of them is to be markup."""

from __future__ import annotations

import re

_ENDS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def cell(text: str, *, bar: str = "\\|") -> str:
    """A text inside a line or a cell: no end of either, no tag, no picture from elsewhere. `bar`: how | is written."""
    return _ENDS.sub(" ", text).replace("|", bar).replace("<", "&lt;").replace("](", "]\\(")


def literal(text: str) -> str:
    """A name with every sign of Markdown escaped, white space as single blanks."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+-.!|" else char for char in " ".join(text.split()))
