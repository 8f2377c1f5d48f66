"""Review a run by hand: serve its page, or hand on the decisions that were taken."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable
from pathlib import Path

from imaginate.decisions import LOG, parse_log
from imaginate.errors import RunError
from imaginate.files import replace_file
from imaginate.reviews.app import Review, new_token
from imaginate.reviews.contents import read_contents
from imaginate.reviews.serve import serve
from imaginate.runs import RunFolder
from imaginate.workflows.report import image_reader

log = logging.getLogger("imaginate")


def review(
    run: str | os.PathLike[str],
    *,
    by: str | None = None,
    port: int = 0,
    map: bool | str = False,
    map_by: str = "pca",
    announce: Callable[[str], None] = print,
) -> None:
    """Serve a page on which people accept, reject or relabel the new images of a run, until it is interrupted.

    The page is reached from this machine alone, by the address that `announce` gets. `by`: the name under which
    decisions are written (default: the user's). `port`: 0 takes a free one. `map`: the page shows a map of the images
    in the space of the run's guide, or of the one that is named, by `map_by` (pca, umap). Every decision is a line of
    `decisions.jsonl` in the run; `refilter(run, reviewed=True)` brings them into effect. Raises RunError for a folder
    that is no run, or not a local one.
    """
    folder = RunFolder(run)
    if not folder.store.local:
        raise RunError(f"{folder.root} is not on this machine: review a local copy, and apply its decisions there")
    data = folder.recipe.get("data") or {}
    read = image_reader()
    contents = read_contents(folder, lambda key: read(data, key))
    name = " ".join((by or getpass.getuser()).split())
    drawn = _drawn(folder, map if isinstance(map, str) else None, map_by) if map else ""
    serve(Review(contents=contents, by=name, token=new_token(), map_svg=drawn), port, announce)


def _drawn(run: RunFolder, guide: str | None, by: str) -> str:
    from imaginate.reports.scatter import scatter
    from imaginate.workflows.map import check_by, draw_map

    found = draw_map(run, guide, by=check_by(by))
    return "" if found is None else scatter(found)


def export_decisions(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Copy the decisions on a run into a file, for `refilter(run, decisions=file)` on another machine; how many.
    RunError for a file that is there and holds something else."""
    store = RunFolder(run).store
    if not store.exists(LOG):
        raise RunError(f"nobody has decided on images of {store.root} yet: imaginate review {store.root}")
    data = store.get(LOG)
    count = len(parse_log(data, store.path(LOG))[1])
    if os.path.exists(out) and not _holds_decisions(out):
        raise RunError(f"{os.fspath(out)} is there and holds no decisions: choose another name, or remove it")
    replace_file(out, lambda partial: partial.write_bytes(data))
    return count


def _holds_decisions(place: str | os.PathLike[str]) -> bool:
    """Whether a file is a log of decisions, or empty."""
    try:
        data = Path(place).read_bytes()
        return not data.strip() or bool(parse_log(data, os.fspath(place))[0])
    except (RunError, OSError):
        return False
