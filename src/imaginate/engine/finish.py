"""The end of a run: tables put together, what must be judged across shards, totals, the card and the contact sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from imaginate.devices import machine, versions
from imaginate.engine.agreement import agreement
from imaginate.engine.growth import GROWING, Earlier
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.run_filters import rejected_name, run_filters
from imaginate.engine.shard import marker_name, rows_name
from imaginate.engine.sizes import Size, typical
from imaginate.files import EARLIER, Folder, json_bytes
from imaginate.limits import parse_json
from imaginate.write import card, sheet, tables


def put_together(store: Folder, recipe: ResolvedRecipe, plan: Plan, session: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the shards' rows, write `skipped.csv`, `README.md`, `contact-sheet.png`, and close `run.json`."""
    markers = [parse_json(store.get(marker_name(n))) for n in range(len(plan.shards))]
    shards = [rows_name(n) for n in range(len(plan.shards))]
    stay = Earlier(store, plan.labels).kept_names() if plan.grows else set()
    refused = run_filters(store, recipe, plan, shards, stay)
    tables.merge(store, shards, {name: (rejected_name(name), reason) for name, reason in refused.items()})
    skipped = [*plan.skipped, *(tuple(item) for m in markers for item in m["skipped"])]
    store.put("skipped.csv", _csv([("id", "reason"), *skipped]))
    rejected: Counter[str] = Counter()
    for marker in markers:
        rejected.update(marker["rejected"])
    rejected.update(refused.values())
    totals = {
        "originals": sum(m["originals"] for m in markers),
        "kept": sum(m["kept"] for m in markers) - len(refused),
        "rejected": dict(rejected.most_common()),
        "skipped": len(skipped),
        "skipped_reasons": dict(Counter(reason for _, reason in skipped).most_common()),
        **{key: _typical(markers, key) for key in ("seed_size", "new_size")},
    }
    facts = parse_json(store.get("run.json"))
    if (shown := agreement(markers, plan.labels, recipe.roles.judge)) is not None:
        facts["agreement"] = shown
    facts.pop(GROWING, None)
    facts.update(totals=totals, finished=True, versions=versions(), machine=machine())
    facts["sessions"] = [*facts["sessions"], dict(session)]
    notes = dict.fromkeys(note for marker in markers for note in marker.get("notes", ()))
    if notes:
        facts["notes"] = list(notes)
    facts["cost"] = cost(facts["sessions"])
    store.put("README.md", card.dataset_card(recipe.to_dict(), facts).encode())
    store.put("contact-sheet.png", sheet.contact_sheet(store))
    store.put("run.json", json_bytes(facts))
    store.remove(EARLIER)
    return totals


def _typical(markers: Sequence[Mapping[str, Any]], key: str) -> Size | None:
    """The middle one of the shards' typical sizes; markers of earlier versions have none."""
    return typical([(size[0], size[1]) for marker in markers if (size := marker.get(key))])


def cost(sessions: list[dict[str, Any]]) -> dict[str, float | None]:
    """Wall-clock seconds and seconds per kept image, over all sessions of the run."""
    seconds = sum(s["seconds"] for s in sessions)
    images = sum(s["images"] for s in sessions)
    return {"seconds": round(seconds, 3), "seconds_per_image": round(seconds / images, 6) if images else None}


def classes(plan: Plan) -> list[dict[str, Any]]:
    """The label space, in label order, with counts of seeds and of wanted images."""
    return [{**asdict(info), **plan.counts[info.name]} for info in plan.labels]


def _csv(rows: list[Any]) -> bytes:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode(errors="surrogateescape")
