"""The pictures of the docs, made anew by the commands that they show.

    python benchmarks/pictures.py --work DIR --data DATA     # DATA: the folder with tiny-imagenet-64 and flowers102-64

Writes docs/img/{hero,mae,gif-mae,gif-sd}.png. What is shown is every copy of the classes named here, none is picked.
The rows of retrieval come from a run over the pool of the laboratory (`lab/lab.py --target tiny-10`, its
`retrieval-head`).
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path

IMG = Path(__file__).parents[1] / "docs" / "img"
DRAWN = ("goldfish", "police van", "bison")
FOUND = ("cougar", "trolleybus", "cauliflower")
FLOWERS = ("english marigold", "moon orchid", "bird of paradise", "sweet pea", "hibiscus", "sunflower")
COLUMNS = 6


def main() -> None:
    """Make the runs, draw some of their rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--work", type=Path, required=True, help="where runs are kept: a call goes on where one stopped"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--found", type=Path, help="a finished run of retrieval, for the picture of the README")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    tiny, flowers = args.data / "tiny-imagenet-64" / "val-00000-of-00001.parquet", args.data / "flowers102-64"
    seeds = some(tiny, DRAWN, args.work / "drawn.parquet")
    guided = ("--prior", "nano", "--guide", "nano", "--judge", "none")
    drawn = run(args.work / "drawn", seeds, "gif-sd", "--copies", str(COLUMNS), *guided)
    if args.found:
        parts = [
            titled("gif-sd: drawn by the bundled miniature prior, guided by its CLIP", pictures(drawn, DRAWN, COLUMNS)),
            titled("retrieval --score head: found in 25,000 unlabelled images", pictures(args.found, FOUND, COLUMNS)),
        ]
        save(stacked(parts), "hero")
    bloom = some(flowers / "train.parquet", FLOWERS, args.work / "flowers.parquet")
    copies = run(args.work / "flowers", bloom, "gif-sd", "--copies", "3", *guided)
    save(joined([pictures(copies, FLOWERS[:3], 3), pictures(copies, FLOWERS[3:], 3)]), "gif-sd")
    one = some(tiny, DRAWN[1:2], args.work / "one.parquet")
    for method, flags in (("mae", ("--prior", "nano", "--eps", "0.8")), ("gif-mae", (*guided, "--eps", "0.8"))):
        place = run(args.work / method, one, method, "--copies", "3", *flags)
        save(pictures(place, DRAWN[1:2], 3), method)


def some(source: Path, names: tuple[str, ...], out: Path) -> Path:
    """The first image of each of some classes, as a table."""
    import pyarrow.parquet as pq

    from imaginate import open_dataset
    from imaginate.files import replace_file

    dataset = open_dataset(source)
    table, classes = pq.read_table(source), list(dataset.labels.names)
    first = [table["label"].index(classes.index(name)).as_py() for name in names]
    replace_file(out, lambda partial: pq.write_table(table.take(first), partial))
    return out


def run(out: Path, data: Path, method: str, *flags: str) -> Path:
    """`imaginate expand`, as a user types it."""
    command = [sys.executable, "-m", "imaginate", "expand", str(data), str(out), "--method", method, *flags]
    print(*command[2:])
    subprocess.run(command, check=True)
    return out


def pictures(run: Path, names: tuple[str, ...], columns: int):
    """A contact sheet with the rows of some classes: the seed and its first copies."""
    from PIL import Image

    from imaginate.files import Folder
    from imaginate.write import sheet

    store = Folder(str(run))
    groups = {}
    for head, members in sheet.groups_of(store, 10**6, columns, rejected=False):
        groups.setdefault(str(members[0]["class_name"]), (head, members))
    return Image.open(io.BytesIO(sheet.draw([groups[name] for name in names], store))).convert("RGB")


def titled(words: str, picture):
    """A picture under a line of words."""
    from PIL import Image, ImageDraw

    from imaginate import lettering

    page = Image.new("RGB", (picture.width, picture.height + 20), "white")
    page.paste(picture, (0, 20))
    lettering.write(ImageDraw.Draw(page), (8, 6), words, fill="#1b1b1b", width=picture.width)
    return page


def stacked(parts: list):
    """Pictures one below the other."""
    from PIL import Image

    page = Image.new("RGB", (max(p.width for p in parts), sum(p.height for p in parts)), "white")
    top = 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return page


def joined(parts: list):
    """Pictures next to one another."""
    from PIL import Image

    return stacked([part.transpose(Image.Transpose.TRANSPOSE) for part in parts]).transpose(Image.Transpose.TRANSPOSE)


def save(picture, name: str) -> None:
    """Replace a picture of the docs."""
    picture.save(IMG / f"{name}.png", optimize=True)
    print(IMG / f"{name}.png", picture.size)


if __name__ == "__main__":
    main()
