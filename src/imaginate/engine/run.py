"""`expand`: open or continue a run folder, make the shards that are missing, put the tables together."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from imaginate.contract import prior_family
from imaginate.data.labelling import from_line
from imaginate.devices import refuse_missing
from imaginate.engine import finish, folder, growth, taken_from
from imaginate.engine.agreement import Tally, remark
from imaginate.engine.context import RunContext
from imaginate.engine.gather import gather
from imaginate.engine.outlook import outlook
from imaginate.engine.plan import Plan
from imaginate.engine.reading import read
from imaginate.engine.recipe import SECTIONS, Recipe, changes, determining
from imaginate.engine.resolve import ResolvedRecipe, recipe_from
from imaginate.engine.shard import ShardWorker, marker_name, rows_name
from imaginate.engine.sizes import shrinking
from imaginate.engine.workers import Team
from imaginate.errors import ConfigError, ImaginateError, RunError
from imaginate.files import EARLIER, KEPT, RECIPE, REJECTED, SEEDS, SHEET, Folder, json_bytes
from imaginate.markdown import picture_and_text
from imaginate.models.weights import Weights, adaptation_weights, completed, difference, guide_weights, weights_of
from imaginate.ownership import own
from imaginate.progress import Bar, bar
from imaginate.runs import RunFolder
from imaginate.settings import with_keywords
from imaginate.version import __version__
from imaginate.write.sheet import contact_sheet

RUN = "run.json"


log = logging.getLogger("imaginate")
facts = logging.getLogger("imaginate.facts")  # what to know before a run begins: the command line shows all of it


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and what is in it. It stands for its folder wherever a path is wanted, as in
    `train(run, out)`."""

    path: str
    originals: int
    kept: int
    rejected: Mapping[str, int]
    skipped: int
    wanted: int

    def __fspath__(self) -> str:
        """The folder of the run."""
        return self.path

    def table(self, *, rejected: bool = False) -> Any:
        """`metadata.parquet` (or `rejected.parquet`) as a pyarrow table."""
        return RunFolder(self.path).table(REJECTED if rejected else KEPT)

    def to_pandas(self) -> Any:
        """`metadata.parquet` as a pandas data frame (pandas is not installed with imaginate)."""
        return self.table().to_pandas()

    def _repr_html_(self) -> str:
        """For notebooks: the contact sheet and the counts."""
        return picture_and_text(RunFolder(self.path).store.get(SHEET), str(self))

    def __str__(self) -> str:
        why = ", ".join(f"{n} {reason}" for reason, n in self.rejected.items())
        parts = [f"{self.kept} new images", f"{self.originals} originals"]
        parts += [f"{sum(self.rejected.values())} rejected ({why})"] if why else []
        parts += [f"{self.skipped} seed images skipped"] if self.skipped else []
        parts += [f"{self.wanted - self.kept} of {self.wanted} wanted are missing"] if self.kept < self.wanted else []
        return f"{self.path}: " + ", ".join(parts)


@with_keywords(*SECTIONS.values(), open_ended=True)
def expand(
    data: str | None = None,
    out: str | os.PathLike[str] = "",
    method: str | None = None,
    *,
    recipe: Recipe | ResolvedRecipe | Mapping[str, Any] | None = None,
    workers: int = 1,
    ray: str | None = None,
    restore: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Expand a dataset into a run folder; the same call on the same folder finishes a run that was interrupted.

    `data` is a path (see docs/data.md), `out` a local folder or an fsspec url, `method` a registered name; every other
    keyword is a setting of the method or of a section of the recipe (`copies=5`, `guide="nano"`, `format="jpeg"`).
    A whole `recipe` (a mapping, or a recipe object) can be given instead, or together with them: they override it.
    `workers`: processes that make images; `ray`: the address of a Ray cluster on which they work. `restore`: images of
    a finished run that somebody removed are made again. Raises ImaginateError (DataError, ConfigError, ModelError,
    RunError) with one line that says what to do, and KeyboardInterrupt with one that says how far it came.
    """
    full = recipe_from(gather(recipe, data, method, settings))
    if not isinstance(out, (str, os.PathLike)) or not os.fspath(out):
        raise ConfigError(f"out must name the output folder, got {out!r}")
    if ray is None:
        refuse_missing(full.roles.device)
    store = Folder(out)
    folder.refuse(store, [path for path in (full.data.path, full.roles.held_out) if path])
    with closing(Team(full, workers, ray, is_needed=not RunFolder(store).is_finished)) as team:
        return _expand_with(team, full, store, restore, progress)


def _expand_with(team: Team, recipe: ResolvedRecipe, store: Folder, restore: bool, progress: bool) -> Run:
    plan, split = read(recipe, progress=progress)

    def speak_up(context: RunContext | None) -> None:
        if not _made_anything(store):
            for fact in (split, *outlook(recipe, plan, context)):
                if fact.stops:
                    raise RunError(f"{store.root} is not begun: {fact.text}")
                facts.log(logging.WARNING if fact.warns else logging.INFO, fact.text)

    is_new = store.local and not store.exists("")
    try:
        with own(store, "expand", is_run=True):
            known = RunFolder(store).facts if store.exists(RUN) and _made_anything(store) else None
            plan = plan.but(run_id=_id(recipe, plan, known))
            plan, is_whole = _opened(recipe, plan, store, known)
            plan = plan.but(hashes=())  # which nobody asks for from here on
            result = _expand(recipe, plan, store, known if is_whole else None, team, progress, speak_up)
            _look_for_gone(recipe, plan.but(grows=False), store, restore)
            return result
    except ImaginateError:  # refused while it was prepared
        if is_new and not _made_anything(store):
            folder.forget(store)
        raise


def _id(recipe: ResolvedRecipe, plan: Plan, known: Mapping[str, Any] | None) -> str:
    """What the run is called in its files: as where it has begun ("" of runs that were begun without an id)."""
    return recipe.identity(plan.data_fingerprint) if known is None else str(known.get("id", ""))


def _expand(
    recipe: ResolvedRecipe,
    plan: Plan,
    store: Folder,
    whole: Mapping[str, Any] | None,
    team: Team,
    progress: bool,
    before: Callable[[RunContext | None], None],
) -> Run:
    """Make what is missing, and finish. `whole`: the facts of a run that is finished already."""
    if whole is not None:
        RunFolder(store).check_facts("totals")
        store.remove(EARLIER)
        return _result(store, whole["totals"], plan)
    started = time.time()
    store.clean()
    missing = [n for n in range(len(plan.shards)) if not store.exists(marker_name(n))]
    done = len(plan.shards) - len(missing)
    images = 0
    title = f"{recipe.method_name} -> {os.path.basename(store.root)}"
    finished_images = sum(u.wanted for n in set(range(len(plan.shards))) - set(missing) for u in plan.shards[n])
    with bar(title, plan.wanted, done=finished_images, show=progress) as shown:
        try:
            for summary in team.run(plan, store.root, missing, _announcer(shown), before):
                images += summary["kept"]
                done += 1
                if done == 1 + len(plan.shards) - len(missing):
                    _remark(summary, recipe)
        except KeyboardInterrupt:
            message = f"stopped with {done} of {len(plan.shards)} shards done; the same command goes on from there"
            raise KeyboardInterrupt(message) from None
    session = {"seconds": round(time.time() - started, 3), "images": images, "workers": team.count}
    _complete_weights(store, recipe)
    totals = finish.put_together(store, recipe, plan, session)
    store.clean()
    return _result(store, totals, plan)


def _look_for_gone(recipe: ResolvedRecipe, plan: Plan, store: Folder, restore: bool) -> None:
    """Images that somebody removed from a finished run: made again where that is wanted, else said."""
    run = RunFolder(store)
    gone = run.gone()
    if not gone:
        return
    if not restore:
        log.warning(run.words_for_gone(gone))
        return
    worker = ShardWorker(recipe, plan, store.root)
    others: list[str] = []
    for number in range(len(plan.shards)):
        names = run.rows(rows_name(number), columns=("file_name",))
        if mine := {row["file_name"] for row in names} & set(gone):
            others += worker.restore(number, sorted(mine))
    store.put(SHEET, contact_sheet(store))
    if others:
        log.warning(
            f"{len(others)} of {len(gone)} images cannot be made again as they were, and stay away (first: "
            f"{others[0]}): they depend on other copies or seeds than the run had then, or on another version; "
            f"`imaginate refilter {store.root} --accept-removed` rejects them"
        )


def _remark(summary: Mapping[str, Any], recipe: ResolvedRecipe) -> None:
    """After the first shard, before the hours go: that new images are smaller than their seeds, or lost their class."""
    copies, seeds = (Tally.of([summary.get(key, {})]) for key in ("judged_copies", "judged_seeds"))
    smaller = shrinking(summary["seed_size"], summary["new_size"], by_prior=recipe.draws_squares)
    for note in (smaller, remark(copies, seeds)):
        if note:
            log.warning(note)


def _announcer(shown: Bar) -> Callable[[int], None]:
    return lambda images: shown.advance(images)


def _made_anything(store: Folder) -> bool:
    """Whether an image was ever written here: a run that stopped before that can begin again with another recipe."""
    markers = [name for name in store.names("shards") if name.endswith(".json")]
    return bool(markers) or any(store.exists(name) for name in ("images", "rejected"))


def _weights(recipe: ResolvedRecipe) -> dict[str, Weights]:
    """The weights of the roles that the recipe names, where they are files."""
    family = prior_family(recipe.method.needs)
    found = {"prior": weights_of(recipe.roles.prior, family), "guide": guide_weights(recipe.roles.guide)}
    found["adaptation"] = adaptation_weights(recipe.roles.adaptation)
    found["vae"] = None if recipe.roles.vae == "tiny" else weights_of(recipe.roles.vae, family)
    return {role: weights for role, weights in found.items() if weights is not None}


def _complete_weights(store: Folder, recipe: ResolvedRecipe) -> None:
    """Note the hash of files that came from the hub after the run began."""
    facts = dict(RunFolder(store).facts)
    before = facts.get("weights") or {}
    if any("hash" not in one for one in before.values()):
        store.put(RUN, json_bytes({**facts, "weights": completed(before, _weights(recipe))}))


def _opened(recipe: ResolvedRecipe, plan: Plan, store: Folder, known: Mapping[str, Any] | None) -> tuple[Plan, bool]:
    """Begin the run, or go on with it, or make it grow; whether there is nothing left to do. RunError for a folder
    that holds another run."""
    fingerprint, describe = recipe.fingerprint(plan.data_fingerprint), partial(_describe, store, recipe, plan)
    if known is None:
        describe()
        store.put(RUN, json_bytes(_facts(recipe, plan, fingerprint)))
        return plan, False
    is_new = growth.is_growth(store, known, recipe, plan)
    if not is_new:
        _same(store, known, recipe, plan, fingerprint)
        run = RunFolder(store)
        if known.get("finished") and not (run.words_for_lost_table() and run.may_rewrite_table):
            return plan, True
    taken_from.check(store.root, known, recipe)
    if other := difference(known.get("weights"), _weights(recipe)):
        raise RunError(f"{store.root} holds a run that began with another network: {other}; or use a new folder")
    if is_new:
        facts = {**known, **_facts(recipe, plan, fingerprint), "sessions": known["sessions"], "id": plan.run_id}
        growth.begin(store, facts, describe)
        log.info(f"{store.root} has {known['totals']['kept']:,} new images, which stay; it grows to {plan.wanted:,}")
    growth.go_on(store, known, describe)
    return plan.but(grows=is_new or growth.GROWING in known), False


def _describe(store: Folder, recipe: ResolvedRecipe, plan: Plan) -> None:
    """Write the recipe and the list of seeds."""
    import yaml

    settings = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)
    front = "# `imaginate expand --recipe recipe.yaml OUT` repeats this run\n"
    store.put(RECIPE, (front + settings).encode(errors="surrogateescape"))
    with store.writing(SEEDS) as file:
        file.writelines(f"{line}\n".encode(errors="surrogateescape") for line in plan.seed_lines())


def _facts(recipe: ResolvedRecipe, plan: Plan, fingerprint: str) -> dict[str, Any]:
    """What run.json says of a run that begins."""
    rendering = {} if plan.rendering is None else {"rendering": asdict(plan.rendering)}
    return {
        "imaginate": __version__,
        "id": plan.run_id,
        "fingerprint": fingerprint,
        "data_fingerprint": plan.data_fingerprint,
        "shards": len(plan.shards),
        "wanted": plan.wanted,
        "classes": finish.classes(plan),
        "data_notes": list(plan.notes),
        **rendering,
        "weights": {role: dict(found) for role, found in _weights(recipe).items()},
        **({taken_from.KEY: taken} if (taken := taken_from.state_of(recipe)) else {}),
        "finished": False,
        "sessions": [],
    }


def _same(store: Folder, known: Mapping[str, Any], recipe: ResolvedRecipe, plan: Plan, fingerprint: str) -> None:
    """RunError, in one line that says what changed, where the folder's run is another one."""
    if known.get("fingerprint") == fingerprint:
        return
    if known.get(growth.GROWING):
        raise RunError(
            f"{store.root} holds a run that grows just now, to {known['wanted']:,} new images: give the command by "
            "which it grows"
        )
    before = determining(recipe.completed(RunFolder(store).recipe))
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
    if known.get("imaginate") != __version__:
        version = known.get("imaginate")
        raise RunError(f"{store.root} was made by another version of imaginate ({version}); use a new folder")


def _changed(store: Folder, plan: Plan) -> str:
    lines = store.get(SEEDS).decode(errors="surrogateescape").splitlines()
    before = {from_line(name): digest for digest, _, name in (line.partition("  ") for line in lines)}
    now = {s.id: h for s, h in zip(plan.samples, plan.hashes, strict=True)}
    kinds = Counter(
        "changed" if name in before and name in now else "new" if name in now else "missing"
        for name in before.keys() | now.keys()
        if before.get(name) != now.get(name)
    )
    first = next((name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)), "labels")
    return f"{', '.join(f'{n} {kind}' for kind, n in kinds.items()) or 'labels'}, first: {first}"


def _result(store: Folder, totals: Mapping[str, Any], plan: Plan) -> Run:
    return Run(
        path=store.root,
        originals=totals["originals"],
        kept=totals["kept"],
        rejected=totals["rejected"],
        skipped=totals["skipped"],
        wanted=plan.wanted,
    )
