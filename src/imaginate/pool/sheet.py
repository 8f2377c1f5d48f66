"""A contact sheet of search results: images in order, with similarity and caption beneath."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from imaginate import lettering
from imaginate.contract import Pool
from imaginate.errors import ImageError

CELL, GAP, TEXT, ACROSS = 144, 8, 30, 8


def result_sheet(pool: Pool, rows: Sequence[dict[str, Any]], title: str) -> bytes:
    """PNG bytes. An image that cannot be read is a grey square that says why."""
    from PIL import Image, ImageDraw

    captions = [str(row.get("caption") or row.get("source") or "") for row in rows]
    lettering.say_cannot_write([title, *captions])
    down = max(1, -(-len(rows) // ACROSS))
    across = max(1, min(ACROSS, len(rows)))
    sheet = Image.new("RGB", (GAP + across * (CELL + GAP), 34 + down * (CELL + TEXT + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    lettering.write(pen, (GAP, 9), title, size=14, fill="#1b1b1b")
    for i, row in enumerate(rows):
        x, y = GAP + (i % ACROSS) * (CELL + GAP), 34 + (i // ACROSS) * (CELL + TEXT + GAP)
        try:
            sheet.paste(_cell(pool, row), (x, y))
        except ImageError as error:
            pen.rectangle((x, y, x + CELL, y + CELL), fill="#dddddd")
            lettering.write(pen, (x + 6, y + CELL // 2), str(error), fill="#c62828", width=CELL - 6)
        for line, text in enumerate((f"{row['similarity']:.3f}", captions[i])):
            lettering.write(pen, (x, y + CELL + 2 + 13 * line), text, fill="#666666", width=CELL)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _cell(pool: Pool, row: dict[str, Any]) -> Any:
    from PIL import Image

    pixels = pool.image(row).permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    scale = CELL / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL, CELL), "#f4f4f4")
    cell.paste(image, ((CELL - image.width) // 2, (CELL - image.height) // 2))
    return cell
