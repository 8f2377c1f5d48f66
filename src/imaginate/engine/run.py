"""`expand`: open or continue a run folder, make the shards that are missing, put the tables together."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from imaginate import __version__
from imaginate.data import open_dataset
from imaginate.engine import finish, workers
from imaginate.engine.plan import Plan, make_plan
from imaginate.engine.recipe import Recipe, changes, determining, recipe_from
from imaginate.engine.shard import marker_name
from imaginate.errors import ConfigError, RunError
from imaginate.progress import Bar, bar
from imaginate.write.store import Store, explained

RECIPE, RUN = "recipe.yaml", "run.json"


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies and what is in it."""

    path: str
    originals: int
    kept: int
    rejected: Mapping[str, int]
    skipped: int
    wanted: int

    def table(self, *, rejected: bool = False) -> Any:
        """`metadata.parquet` (or `rejected.parquet`) as a pyarrow table."""
        from imaginate.write import tables

        return tables.read(Store(self.path), tables.REJECTED if rejected else tables.KEPT)

    def __str__(self) -> str:
        why = ", ".join(f"{n} {reason}" for reason, n in self.rejected.items())
        parts = [f"{self.kept} new images", f"{self.originals} originals"]
        parts += [f"{sum(self.rejected.values())} rejected ({why})"] if why else []
        parts += [f"{self.skipped} seed images skipped"] if self.skipped else []
        parts += [f"{self.wanted - self.kept} of {self.wanted} wanted are missing"] if self.kept < self.wanted else []
        return f"{self.path}: " + ", ".join(parts)


def expand(
    data: str | None = None,
    out: str | os.PathLike[str] = "",
    method: str | None = None,
    *,
    recipe: Recipe | Mapping[str, Any] | None = None,
    workers_count: int = 1,
    ray: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Expand a dataset into a run folder; the same call on the same folder finishes a run that was interrupted.

    `data` is a path (see docs/data.md), `out` a local folder or an fsspec url, `method` a registered name; every other
    keyword is a setting of the method or of a section of the recipe (`copies=5`, `guide="nano"`, `format="jpeg"`).
    A whole `recipe` (mapping or Recipe) can be given instead. Raises ImaginateError (DataError, ConfigError,
    ModelError, RunError) with one line that says what to do.
    """
    full = recipe if isinstance(recipe, Recipe) else recipe_from(gather(recipe, data, method, settings))
    store = Store(out) if os.fspath(out) else None
    if store is None:
        raise ConfigError("out must name the output folder")
    with lock(store):
        return _expand(full, store, workers_count, ray, progress)


def gather(
    recipe: Mapping[str, Any] | None, data: str | None, method: str | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Loose keywords sorted into the sections of a recipe; a recipe's own values come first, keywords override them."""
    from imaginate import registry
    from imaginate.engine.recipe import SECTIONS
    from imaginate.settings import nearest, settings_of

    values: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in (recipe or {}).items()}
    current = values.get("method")
    named = {"name": current} if isinstance(current, str) else dict(current or {})
    if method is not None:
        named = named if named.get("name") == method else {"name": method}
    if not named:
        raise ConfigError("no method: give --method NAME (`imaginate methods` lists them) or a recipe")
    if data is not None:
        values.setdefault("data", {})["path"] = data
    own = {s.name for s in settings_of(registry.find("methods", named["name"]))}
    homes = {s.name: key for key, cls in SECTIONS.items() for s in settings_of(cls)}
    for key, value in settings.items():
        if key in own:
            named[key] = value
        elif key == "filters":
            values["filters"] = value
        elif key in homes:
            values.setdefault(homes[key], {})[key] = value
        else:
            raise ConfigError(f"unknown setting {key!r} of {named['name']}{nearest(key, own | set(homes))}")
    values["method"] = named
    return values


def _expand(recipe: Recipe, store: Store, count: int, ray: str | None, progress: bool) -> Run:
    _refuse_foreign(store)
    known = json.loads(store.get(RUN)) if store.exists(RUN) and _made_anything(store) else None
    with bar("reading", None, show=progress) as reading:
        plan = make_plan(recipe, open_dataset(recipe.data))
        reading.note(f"read {len(plan.samples)} images")
    fingerprint = recipe.fingerprint(plan.data_fingerprint)
    if known is None:
        _begin(store, recipe, plan, fingerprint)
    else:
        _same(store, known, recipe, plan, fingerprint)
        if known.get("finished"):
            return _result(store, known["totals"], plan)
    started = time.time()
    store.clean()
    missing = [n for n in range(len(plan.shards)) if not store.exists(marker_name(n))]
    done = len(plan.shards) - len(missing)
    made = 0
    title = f"{recipe.method} -> {os.path.basename(store.root)}"
    finished_images = sum(u.wanted for n in set(range(len(plan.shards))) - set(missing) for u in plan.shards[n])
    with bar(title, plan.wanted, done=finished_images, show=progress) as shown:
        try:
            for summary in workers.run(recipe, plan, store.root, missing, count, ray, _announcer(shown)):
                made += summary["kept"]
                done += 1
        except KeyboardInterrupt:
            message = f"stopped with {done} of {len(plan.shards)} shards done; the same command goes on from there"
            raise RunError(message) from None
    session = {"seconds": round(time.time() - started, 3), "images": made, "workers": count}
    totals = finish.put_together(store, recipe, plan, session)
    store.clean()
    return _result(store, totals, plan)


def _announcer(shown: Bar) -> Callable[[int], None]:
    return lambda images: shown.advance(images)


def _refuse_foreign(store: Store) -> None:
    if store.exists(RECIPE) or not store.exists(""):
        return
    others = [name for name in store.names() if name != ".lock"]
    if others:
        raise RunError(f"{store.root} is not empty and is not a run (it has {others[0]}); choose a new or empty folder")


def _made_anything(store: Store) -> bool:
    """Whether an image was ever written here: a run that stopped before that can begin again with another recipe."""
    return any(store.exists(name) for name in ("images", "rejected", marker_name(0)))


def _begin(store: Store, recipe: Recipe, plan: Plan, fingerprint: str) -> None:
    import yaml

    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)
    store.put(RECIPE, f"# `imaginate expand --recipe recipe.yaml OUT` repeats this run\n{text}".encode())
    facts = {
        "imaginate": __version__,
        "fingerprint": fingerprint,
        "data_fingerprint": plan.data_fingerprint,
        "shards": len(plan.shards),
        "wanted": plan.wanted,
        "classes": finish.classes(plan),
        "finished": False,
        "sessions": [],
    }
    seeds = "".join(f"{h}  {s.id}\n" for s, h in zip(plan.samples, plan.hashes, strict=True))
    store.put("shards/seeds.sha256", seeds.encode(errors="surrogateescape"))
    store.put(RUN, finish.json_bytes(facts))


def _same(store: Store, known: Mapping[str, Any], recipe: Recipe, plan: Plan, fingerprint: str) -> None:
    if known.get("fingerprint") == fingerprint:
        return
    import yaml

    before = determining(yaml.safe_load(store.get(RECIPE)))
    different = changes(before, determining(recipe.to_dict()))
    if different:
        raise RunError(
            f"{store.root} holds a run with another recipe ({'; '.join(different)}); "
            "give the old settings to go on, or a new folder"
        )
    if known.get("data_fingerprint") != plan.data_fingerprint:
        changed = _changed(store, plan)
        raise RunError(
            f"{store.root}: the source dataset changed since the run began ({changed}); restore it, or use a new folder"
        )
    raise RunError(
        f"{store.root} was made by another version of imaginate ({known.get('imaginate')}); use a new folder"
    )


def _changed(store: Store, plan: Plan) -> str:
    lines = store.get("shards/seeds.sha256").decode(errors="surrogateescape").splitlines()
    before = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    now = {s.id: h for s, h in zip(plan.samples, plan.hashes, strict=True)}
    kinds = Counter(
        "changed" if name in before and name in now else "new" if name in now else "missing"
        for name in before.keys() | now.keys()
        if before.get(name) != now.get(name)
    )
    first = next((name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)), "labels")
    return f"{', '.join(f'{n} {kind}' for kind, n in kinds.items()) or 'labels'}, first: {first}"


def _result(store: Store, totals: Mapping[str, Any], plan: Plan) -> Run:
    return Run(
        path=store.root,
        originals=totals["originals"],
        kept=totals["kept"],
        rejected=totals["rejected"],
        skipped=totals["skipped"],
        wanted=plan.wanted,
    )


@contextmanager
def lock(store: Store) -> Iterator[None]:
    """One process at a time on a local folder; a second one is refused. The lock ends with the process.

    On an object store there is no lock: two processes would do the same work twice, with the same result.
    """
    if not store.local:
        yield
        return
    import fcntl

    with explained(store.root):
        os.makedirs(store.root, exist_ok=True)
        handle = open(store.path(".lock"), "ab")  # noqa: SIM115
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{store.root} is being written by another process; wait for it or use a new folder"
            ) from None
        yield
