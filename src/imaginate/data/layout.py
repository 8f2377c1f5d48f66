"""Class and split of each image from its path alone; the same rules for folders, zips and tars.

    [wrapper/] [train|val|test/] class [/subclass ...] / image
    [wrapper/] class / [train|val|test/] image

The class is the path of the image's own folder, below the wrapper and the split. Names say which folders are splits,
and so does the tree: the same class folders below several of them. What is doubtful is noted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from imaginate.data import splits as names
from imaginate.data.leftovers import Leftovers
from imaginate.errors import some
from imaginate.records import LayoutWord

OUTSIDE = "outside the split folders"
SHOWN = 4  # folders in a message
NO_CLASS = "not in a class folder"
EXTRA = "outside the class folders"
NO_LABEL = "no label"
_UNLABELLED = ("_unlabeled", "_unlabelled", "no_label")  # where FiftyOne and CVAT put images without a label
_SYSTEM_FOLDERS = (
    "__MACOSX", "@eaDir", "$RECYCLE.BIN", ".git", ".hg", ".svn", ".ipynb_checkpoints", ".cache", ".thumbnails",
    ".Trash", ".Spotlight-V100", ".fseventsd",
)  # fmt: skip
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".gitignore", ".gitkeep", ".nomedia", ".lock"})
_SYSTEM = _SYSTEM_FILES.union(_SYSTEM_FOLDERS)
# Folders of a repository that hold pictures, and no classes.
_EXTRAS = frozenset({
    "doc", "docs", "documentation", "asset", "assets", "screenshot", "screenshots", "figure", "figures", "fig",
    "figs", "media", "static", "notebook", "notebooks", "src", "script", "scripts", "example", "examples", "demo",
    "demos", "result", "results", "output", "outputs", "log", "logs", "plot", "plots", "model", "models", "weights",
    "checkpoints", "paper", "poster", "slides", "logo", "logos", "icons", "thumbnails", "thumbs", "preview",
    "previews", "templates", "website", "web", ".github",
})  # fmt: skip
_REPOSITORY = re.compile(
    r"(readme|licen[cs]e|citation|requirements|setup|pyproject|dockerfile|makefile).*", re.IGNORECASE
)
_CODE = (".py", ".ipynb", ".r", ".m", ".sh", ".toml")
_SIDE = (".txt", ".mat", ".json", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".pkl", ".jsonl", ".xlsx", ".h5", ".npy")
_SAYS_LABELS = re.compile(
    r"label|annot|attribut|split|class|categor|partition|fold|ground.?truth|meta|setid|"
    r"(?<![a-z])(train|test|val|valid|dev|set|list|gt)(?![a-z])",
    re.IGNORECASE,
)
LABEL_DEPTH = 3  # folders above a file of labels
_OWN_FILES = frozenset({"classes.yaml", "classes.yml", "classes.json"})


def is_system_folder(name: str) -> bool:
    """Whether file managers and tools leave a folder of this name behind; other names with a dot are classes."""
    return name in _SYSTEM_FOLDERS or name.startswith(".Trash-")


def is_system_file(name: str) -> bool:
    """Whether file managers, or runs, leave a file of this name behind (`.DS_Store`, `._photo.jpg`, `.lock`)."""
    return name in _SYSTEM_FILES or name.startswith("._")


def is_system(name: str) -> bool:
    """Whether tools leave a file or a folder of this name behind."""
    return name in _SYSTEM or (name.startswith(".") and (is_system_file(name) or is_system_folder(name)))


def label_files(others: Iterable[str]) -> list[str]:
    """Of the files that are no images, those whose names say labels or splits, and which nobody reads."""
    return [
        name
        for name in others
        if name.count("/") <= LABEL_DEPTH
        and name.lower().endswith(_SIDE)
        and _SAYS_LABELS.search(name.rsplit("/", 1)[-1])
    ]


def is_own_file(name: str) -> bool:
    """Whether a file describes the classes, and is read elsewhere."""
    return name in _OWN_FILES


@dataclass(frozen=True, slots=True)
class Arranged:
    """`rows`: (class, split) of each path, with an empty class and a reason in place of the split where it has none.
    `notes`: what is doubtful. `problem`: why no path has a class, where the folders' names say it."""

    rows: list[tuple[str, str | None]]
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Tree:
    """What the folders mean. `base`: the depth of the wrapper. `splits`: split folders at depth `level`, and the split
    that each stands for. `inner`: folders directly in a split that wrap its classes. `mute`: the depths in a class's
    path, from its end or its start, of folders that say nothing and are left out."""

    base: int
    level: int
    splits: Mapping[str, str]
    inner: Mapping[str, str]
    mute: tuple[int, ...] = ()


def arrange(
    paths: Sequence[str], layout: LayoutWord = "auto", others: Iterable[str] = ()
) -> list[tuple[str, str | None]]:
    """(class, split) of each path; an empty class and a reason in place of the split where it has none."""
    return arranged(paths, layout, others).rows


def arranged(paths: Sequence[str], layout: LayoutWord = "auto", others: Iterable[str] = ()) -> Arranged:
    """The same with what a person should know. `others`: the files that are no images; a README among them shows a
    repository, whose folders of screenshots are no classes."""
    seen: dict[str, str] = {}  # an image has the class and split of its folder, whose name is kept once
    heads = [seen.setdefault(head, head) for path in paths for head in (path.rpartition("/")[0],)]
    unique = list(seen)
    over = Leftovers(Counter(heads) if layout != "classes" else {})
    parts = [[] if head in over.reasons else [*(head.split("/") if head else ()), ""] for head in unique]
    left: set[tuple[str, ...]] = set()
    base = _wrapper(parts, layout, [other.split("/") for other in others], left)
    parts = [[] if any(tuple(part[: len(top)]) == top for top in left) else part for part in parts]
    tree = _tree(parts, base, layout)
    rows = {head: _row(part, tree) for head, part in zip(unique, parts, strict=True) if part}
    rows |= {head: ("", over.reasons.get(head, EXTRA)) for head in unique if head not in rows}
    notes = [f"the pictures in {some(sorted('/'.join(top) for top in left), SHOWN)} are left out"] if left else []
    notes += over.notes
    problem = "" if any(name for name, _ in rows.values()) else _problem(parts, tree)
    doubts = [
        *_doubts(parts, tree, {name for name, _ in rows.values()}),
        *(_inner_words(rows, tree) if layout != "classes" else ()),
    ]
    return Arranged([rows[head] for head in heads], (*notes, *doubts), problem)


def _row(part: Sequence[str], tree: _Tree) -> tuple[str, str | None]:
    folders = list(part[tree.base : -1])
    split: str | None = None
    if not folders:
        return "", NO_CLASS
    if tree.splits:
        at = tree.level - tree.base
        if len(folders) <= at or folders[at] not in tree.splits:
            return "", OUTSIDE
        top = folders.pop(at)
        split = tree.splits[top]
        if len(folders) > at and tree.inner.get(top) == folders[at]:
            folders.pop(at)
    if len(folders) > len(tree.mute):
        for depth in tree.mute:
            folders.pop(depth)
    if folders and folders[0].lower() in _UNLABELLED:
        return "", NO_LABEL
    return ("/".join(folders), split) if folders else ("", NO_CLASS)


def _wrapper(
    parts: Sequence[Sequence[str]], layout: LayoutWord, others: Sequence[Sequence[str]], left: set[tuple[str, ...]]
) -> int:
    """How many leading folders hold everything (`caltech101/...`) and are neither a split nor the only class. Folders
    of a repository on the way, which are not looked into, go to `left`."""
    base = 0
    body = [part for part in parts if len(part) > 1]
    while True:
        body = [part for part in body if len(part) > base + 1]
        tops = {part[base] for part in body}
        extras = {top for top in tops if top.lower() in _EXTRAS} if layout != "classes" else set()
        kept = tops - extras
        deep = all(len(part) > base + 2 for part in body if part[base] in kept)
        if extras and kept and ((len(kept) == 1 and deep) or _is_repository(others, base)):
            prefix = tuple(body[0][:base])
            left |= {(*prefix, top) for top in extras}
            body, tops = [part for part in body if part[base] in kept], kept
        if len(tops) != 1 or _is_split(next(iter(tops)), layout) or not deep:
            return base
        base += 1


def _is_repository(others: Sequence[Sequence[str]], depth: int) -> bool:
    """Whether a README, a program or the like is directly in the folder at this depth."""
    there = {
        other[depth] for other in others if len(other) == depth + 1 or (len(other) > depth and other[depth] == ".git")
    }
    return any(name == ".git" or _REPOSITORY.fullmatch(name) or name.lower().endswith(_CODE) for name in there)


def _is_split(top: str, layout: LayoutWord) -> bool:
    return layout != "classes" and names.of_folder(top) is not None


def _tree(parts: Sequence[Sequence[str]], base: int, layout: LayoutWord) -> _Tree:
    level, splits = base, {}
    if layout == "splits":
        splits = {part[base]: names.of_folder(part[base]) or part[base] for part in parts if len(part) > base + 1}
    elif layout != "classes":
        splits = _split_folders(parts, base)
        if not splits and (inner := _inner_splits(parts, base)):
            level, splits = inner
    inner_wrappers = _inner_wrappers(parts, base, splits) if level == base else {}
    tree = _Tree(base, level, splits, inner_wrappers)
    return tree if layout == "classes" else replace(tree, mute=_mute(parts, tree))


def _split_folders(parts: Sequence[Sequence[str]], base: int) -> dict[str, str]:
    """Top folders that are splits: all of them are, or `train` and another are, or some is and shares its classes with
    others. A class may be called `train`."""
    below: dict[str, set[str]] = {}
    for part in parts:
        if len(part) > base + 1:
            below.setdefault(part[base], set()).update(part[base + 1 : -1][:1])
    deep = {top for top, classes in below.items() if classes}
    usual = _named_like_splits(below)
    if usual.keys() == below.keys() and usual:
        return usual  # a lone flat `train` is no class either
    nested = {top: split for top, split in usual.items() if top in deep}
    if "train" in nested.values() and len(set(nested.values())) > 1:
        return nested
    sharing = {top: top for top in deep - usual.keys() if any(_share(below[top], below[split]) for split in nested)}
    return {**nested, **sharing} if sharing else {}


def _named_like_splits(tops: Collection[str]) -> dict[str, str]:
    """Folder -> split, by their names: alone (`training_set`), or as a family (`cars_train` with `cars_test`)."""
    found = {top: name for top in tops if (name := names.in_folder_name(top)) is not None}
    families: dict[tuple[str, ...], set[str]] = {}
    for name in found.values():
        families.setdefault(name.rest, set()).add(name.split)
    return {top: name.split for top, name in found.items() if not name.rest or len(families[name.rest]) > 1}


def _share(some: set[str], others: set[str]) -> bool:
    """Whether two folders hold the same class folders, for the greater part."""
    return 2 * len(some & others) > max(len(some), 1) and len(some & others) > min(1, len(others) - 1)


def _inner_splits(parts: Sequence[Sequence[str]], base: int) -> tuple[int, dict[str, str]] | None:
    """The depth at which every folder is a split, below the classes (`cats/train`), and the splits. A few classes may
    have no such folders: their images have no split."""
    body = [part for part in parts if len(part) > base + 1]
    for level in range(base + 1, max((len(part) for part in body), default=0) - 1):
        deep = [part for part in body if len(part) > level + 1]
        splits = {top: names.of_folder(top) for top in {part[level] for part in deep}}
        most = 2 * len({part[base] for part in deep}) > len({part[base] for part in body})
        if all(splits.values()) and len(set(splits.values())) > 1 and most:
            return level, {top: split for top, split in splits.items() if split}
    return None


def _inner_wrappers(parts: Sequence[Sequence[str]], base: int, splits: Collection[str]) -> dict[str, str]:
    """Split folder -> the only folder in it, where that is the split again or says nothing (`seg_train/seg_train`)."""
    found: dict[str, str] = {}
    for split in splits:
        inside = [part for part in parts if len(part) > base + 2 and part[base] == split]
        tops = {part[base + 1] for part in inside}
        top = next(iter(tops), "")
        says_nothing = names.is_filler(top) or names.of_folder(top) == _meaning(split) or top == split
        if len(tops) == 1 and says_nothing:
            found[split] = top
    return found


def _meaning(folder: str) -> str:
    """The split in a folder's name, whatever else it says; the name itself where there is none."""
    found = names.in_folder_name(folder)
    return found.split if found is not None else folder


def _mute(parts: Sequence[Sequence[str]], tree: _Tree) -> tuple[int, ...]:
    """The depths at which every class has the same folder that says nothing (`n01443537/images`, `candle/Data/good`),
    the deepest first; or -1 where the last folder of every class is called like the one above it."""
    rows = [name.split("/") for name, _ in (_row(part, tree) for part in parts if part) if name]
    if not rows or min(map(len, rows)) < 2:
        return ()
    if all(row[-1] == row[-2] for row in rows):
        return (-1,)
    several = len({tuple(row[:-1]) for row in rows}) > 1
    if several and len({row[-1] for row in rows}) == 1 and names.is_filler(rows[0][-1]):
        return (-1,)
    if len({len(row) for row in rows}) > 1:
        return ()
    inner = range(len(rows[0]) - 2, 0, -1)
    return tuple(at for at in inner if len({row[at] for row in rows}) == 1 and names.is_filler(rows[0][at]))


def _inner_words(rows: Mapping[str, tuple[str, str | None]], tree: _Tree) -> list[str]:
    """A note on folders inside of others that are named like two splits at least, and read as classes."""
    found: dict[str, set[str]] = {}
    for head, (name, _) in rows.items():
        folders = head.split("/") if name else []
        for at in range(tree.base + 1, len(folders)):
            if folders[at] in name.split("/") and names.of_folder(folders[at]) is not None:
                found.setdefault("/".join(folders[:at]), set()).add(folders[at])
    above = sorted(top for top, inside in found.items() if len({names.of_folder(one) for one in inside}) > 1)
    if not above:
        return []
    words = some(sorted(found[above[0]]), SHOWN)
    return [
        f"the folders {words} in {some(above, SHOWN)} are named like splits and read as classes: give {above[0]} alone"
    ]


def _problem(parts: Sequence[Sequence[str]], tree: _Tree) -> str:
    tops = sorted({part[tree.base] for part in parts if len(part) > tree.base + 1})
    if not tops or not tree.splits:
        return ""
    verb, pronoun = ("looks like a split", "it") if len(tops) == 1 else ("look like splits", "them")
    return (
        f"the folder{'s' if len(tops) > 1 else ''} on top ({some(tops, SHOWN)}) {verb}, and there are no class folders "
        f"below {pronoun}: a table of labels (csv: file_name,label) can name the classes, or --layout classes takes "
        "the folders as classes"
    )


def _doubts(parts: Sequence[Sequence[str]], tree: _Tree, classes: Collection[str]) -> list[str]:
    """Notes on folders that may mean something else than they are taken for."""
    if tree.splits:
        bare = sorted({part[tree.base] for part in parts if part and tree.base + 1 < len(part) <= tree.level + 1})
        return [f"the images of {some(bare, SHOWN)} are in no split folder, and are left out"] if bare else []
    below: dict[str, set[str]] = {}
    for name in classes:
        top, _, rest = name.partition("/")
        if rest:
            below.setdefault(top, set()).add(rest.split("/")[0])
    groups: dict[frozenset[str], list[str]] = {}
    for top, inside in sorted(below.items()):
        groups.setdefault(frozenset(inside), []).append(top)
    notes = []
    for same, tops in groups.items():
        if len(tops) > 1 and len(same) > 1:
            notes.append(
                f"the folders {some(tops, SHOWN)} hold folders of the same names ({some(sorted(same), SHOWN)}), "
                "which are read as different classes; if they are parts of one dataset, say --layout splits"
            )
    like = [top for top in sorted(below) if names.in_folder_name(top) is not None]
    if like and not notes:
        notes.append(
            f"the folder {like[0]!r} is named like a split and read as a class; --layout splits takes it as one"
        )
    return notes
