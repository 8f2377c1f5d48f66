"""Texts of data (class names, reasons, notes) in a page of Markdown, where none of them is to be markup."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_ENDS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def cell(text: str, *, bar: str = "\\|") -> str:
    """A text inside a line or a cell: no end of either, no tag, no picture from elsewhere. `bar`: how | is written."""
    return _ENDS.sub(" ", text).replace("|", bar).replace("<", "&lt;").replace("](", "]\\(")


def literal(text: str) -> str:
    """A name with every sign of Markdown escaped, white space as single blanks."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+-.!|" else char for char in " ".join(text.split()))


def picture_and_text(picture: bytes, text: str) -> str:
    """HTML for a notebook: a PNG, and a text as it is printed."""
    import base64
    from html import escape

    encoded = base64.b64encode(picture).decode()
    return f'<img alt="contact sheet" src="data:image/png;base64,{encoded}"><pre>{escape(text)}</pre>'


def table(rows: Sequence[Mapping[str, object]], caption: str = "") -> str:
    """HTML for a notebook: rows under the names of their values."""
    from html import escape

    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(row[name]))}</td>" for name in names) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"
