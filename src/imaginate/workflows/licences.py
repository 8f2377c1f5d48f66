"""Under which licences the images of a run are, as far as the files of their sources say, and what these ask for.

Nothing is guessed: where no field says anything, that is what is shown.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaginate import registry
from imaginate.contract import prior_family
from imaginate.data.urls import is_url
from imaginate.limits import parse_json, parse_yaml
from imaginate.markdown import table
from imaginate.runs import RunFolder

NOT_SAID = "not said"
MOST_BYTES = 1 << 20  # of a file that is searched for a licence
_FIELDS = ("license", "licence", "licenses")
_CARDS = ("README.md", "dataset_info.json", "croissant.json", "metadata.json", "datapackage.json")
_TEXTS = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING")
_OPEN_CC = "name the author and the licence, and say that the images were changed"
_WORDS = {"nc": "noncommercial", "sa": "sharealike", "nd": "noderiv"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """What images come from. `images`: how many have it in them. `said_in`: the field or file that says the licence."""

    what: str
    name: str
    licence: str
    images: int
    said_in: str

    @property
    def asks(self) -> str:
        """What the licence asks of those who pass the images on."""
        return what_it_asks(self.licence)


@dataclass(frozen=True, kw_only=True)
class Licences:
    """The licences of a run: a line a part and licence. `print` it for a table."""

    run: str
    parts: tuple[Part, ...]

    def __repr__(self) -> str:
        return f"Licences({self.run!r}, {len({part.licence for part in self.parts})} licences)"

    def __str__(self) -> str:
        lines = [f"{self.run}: what the files of its sources say of licences (no legal advice)"]
        for part in self.parts:
            lines += ["", f"{part.what}: {part.name} ({part.images} images)"]
            lines += [f"  licence  {part.licence}" + (f"  ({part.said_in})" if part.said_in else "")]
            lines += [f"  asks     {part.asks}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks: the same as a table."""
        return table(self.rows(), self.run)

    def to_pandas(self) -> Any:
        """A row a part and licence, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.rows()).to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """A line a part and licence."""
        return [
            {"what": p.what, "name": p.name, "licence": p.licence, "images": p.images, "said in": p.said_in,
             "asks": p.asks}
            for p in self.parts
        ]  # fmt: skip


def licences_of(run: RunFolder, kept: Any) -> Licences:
    """The parts that the kept images of a run come from, with their licences. `kept`: its table."""
    return Licences(run=run.root, parts=tuple(_parts(run, kept.to_pylist())))


def _parts(run: RunFolder, rows: list[dict[str, Any]]) -> Iterator[Part]:
    new = [row for row in rows if row["method"] is not None]
    taken = [row for row in new if row.get("info_pool_id")]
    first = run.chain()[-1]
    if count := len(rows) - sum(row["origin"] == "retrieved" for row in rows):
        licence, said_in = _of_dataset(first.source)
        yield Part(what="seeds", name=first.source, licence=licence, images=count, said_in=said_in)
    roles = run.recipe.get("roles") or {}
    made = sum(row["origin"] != "retrieved" for row in new)
    for what in ("prior", "adaptation"):
        for spec in str(roles.get(what) or "").split("+"):
            if spec and made:
                licence, said_in = _of_model(spec, run.method)
                yield Part(what=what, name=spec, licence=licence, images=made, said_in=said_in)
    pool = str(roles.get("pool") or "pool")
    counts = Counter(str(row.get("info_licence") or NOT_SAID) for row in taken)
    for licence, count in counts.most_common():
        said_in = "" if licence == NOT_SAID else "info_licence of metadata.parquet, with url and author"
        yield Part(what="pool images", name=pool, licence=licence, images=count, said_in=said_in)
    for path, count in Counter(row["info_taken_from"] for row in new if row.get("info_taken_from")).items():
        asked = f"`imaginate inspect {path} --licences` says it"
        yield Part(what="images of another run", name=path, licence=NOT_SAID, images=count, said_in=asked)
    folder = (run.recipe.get("method") or {}).get("folder")
    if folder:
        licence, said_in = _of_dataset(str(folder))
        yield Part(what="adopted images", name=str(folder), licence=licence, images=len(new), said_in=said_in)


def _of_dataset(path: str) -> tuple[str, str]:
    """The licence of a dataset by the files in its folder, or next to its file, and which file says it."""
    if not path or is_url(path):
        return NOT_SAID, ""
    place = Path(path).expanduser()
    return _of_folder(place if place.is_dir() else place.parent)


def _of_model(spec: str, method: str) -> tuple[str, str]:
    from imaginate import nano
    from imaginate.models import hub

    if spec == "nano":
        needs = registry.find("methods", method).needs if method in registry.names("methods") else ()
        bundled = nano.name_for(prior_family(needs))
        return _of_folder(nano.weights() / bundled, shown=f"card of nano-{bundled}")
    name = spec.split(":")[0]
    place = Path(name).expanduser()
    if place.exists():
        return _of_folder(place if place.is_dir() else place.parent)
    cached = hub.snapshot(name) if "/" in name else None
    licence, said_in = (NOT_SAID, "") if cached is None else _of_folder(cached, shown=f"card of {name}")
    if licence == NOT_SAID and "/" in name:
        said_in = f"its card is not on this machine: https://huggingface.co/{name.split('@')[0]}"
    return licence, said_in


def _of_folder(folder: Path, shown: str = "") -> tuple[str, str]:
    for name in _CARDS:
        if text := _text(folder / name):
            values = _front_matter(text) if name.endswith(".md") else _json(text)
            if licence := _named(values):
                return licence, shown or str(folder / name)
    for name in _TEXTS:
        if lines := _text(folder / name).split("\n"):
            first = next((line.strip(" #=*") for line in lines if line.strip(" #=*")), "")
            if first:
                return first[:80], shown or str(folder / name)
    return NOT_SAID, ""


def _text(path: Path) -> str:
    """The text of a file; "" where there is none, or one that is no small text."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _front_matter(text: str) -> Mapping[str, Any]:
    found = re.match(r"\s*---\s*\n(.*?)\n---", text, re.DOTALL)
    try:
        values = parse_yaml(found.group(1)) if found else None
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _json(text: str) -> Mapping[str, Any]:
    try:
        values = parse_json(text)
    except ValueError:
        return {}
    if isinstance(values, dict) and not any(values.get(name) for name in _FIELDS):
        values = next((one for one in values.values() if isinstance(one, dict) and _named(one)), values)
    return values if isinstance(values, dict) else {}


def _named(values: Mapping[str, Any]) -> str:
    """The licence that a card names: `license: other` with `license_name`, a list, or an object with a name."""
    value = next((values[name] for name in _FIELDS if values.get(name)), None)
    if value == "other" and values.get("license_name"):
        value = values["license_name"]
    several = value if isinstance(value, list) else [value]
    names = [one.get("name") or one.get("title") or one.get("url") if isinstance(one, dict) else one for one in several]
    texts = [" ".join((one if isinstance(one, str) else json.dumps(one)).split()) for one in names if one]
    return ", ".join(dict.fromkeys(text for text in texts if text))[:200]


def what_it_asks(licence: str) -> str:
    """What a licence asks for, in a line, by its usual names and addresses."""
    words = re.sub(r"[^a-z0-9]+", " ", licence.lower()).split()
    text = " ".join(words)
    if licence == NOT_SAID or text in ("", "unknown", "other", "none"):
        return "nothing is said: ask the owner before you pass the images on"
    if re.search(r"\bcc ?0|cc zero|public ?domain|pddl|unlicense|no known copyright|\bpdm\b", text):
        return "nothing"
    if (
        text.startswith(("cc ", "cc by", "ccby", "by ", "attribution"))
        or "creative commons" in text
        or "creativecommons" in text
    ):
        return _asks_of_creative_commons(text)
    if "openrail" in text or " rail" in text:
        return "its use restrictions go on to whoever receives the images; read them"
    if "non commercial" in text or "noncommercial" in text or "research" in text:
        return "no commercial use; read the licence"
    if re.search(r"\bapache|\bmit\b|\bbsd\b|\bisc\b", text):
        return "keep its notice where you pass on the files of the source themselves"
    if re.search(r"\bodbl\b|\bgpl\b|\bagpl\b|\bcdla sharing", text):
        return "share what you make under the same licence, and name the source"
    if re.search(r"\bodc by\b|\bcdla permissive", text):
        return "name the source"
    return "not one of the usual licences: read it"


def _asks_of_creative_commons(text: str) -> str:
    joined = text.replace(" ", "")
    has = {short: short in text.split() or word in joined for short, word in _WORDS.items()}
    asks = [_OPEN_CC]
    if has["nc"]:
        asks.append("no commercial use")
    if has["sa"]:
        asks.append("share them under the same licence")
    if has["nd"]:
        asks.append("changed images, as copies are, must not be passed on")
    return "; ".join(asks)
