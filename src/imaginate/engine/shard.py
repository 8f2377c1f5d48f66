"""One shard: seeds -> candidates -> verdicts -> choice -> files -> rows -> marker."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from imaginate import select
from imaginate.contract import Tensor
from imaginate.data.digital_source import GENERATED
from imaginate.devices import use_threads
from imaginate.engine.agreement import Tally, is_judged, judge_for, share_judged
from imaginate.engine.canvas import Canvas
from imaginate.engine.context import RunContext
from imaginate.engine.growth import Earlier, Known
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe, digital_source
from imaginate.engine.sizes import Size, typical
from imaginate.engine.units import Unit
from imaginate.errors import ImageError
from imaginate.files import Folder
from imaginate.limits import parse_json
from imaginate.records import (
    GROUP,
    Candidate,
    DigitalSource,
    FileBacked,
    Image,
    Request,
    Sample,
    Scalar,
    Verdict,
    image_seed,
    steady,
)
from imaginate.runs import Row, RunFolder
from imaginate.write import names, tables
from imaginate.write.images import (
    EXTENSIONS,
    Writing,
    encode,
    encode_mask,
    original,
    reason_not_to_write,
    resized,
    to_uint8,
)
from imaginate.write.marks import Mark, Taken, packet

Judged = tuple[Candidate, Verdict]
ROUNDING = 1e-3  # by which a score of the same image may differ where it is made again


@dataclass(frozen=True)
class Original:
    """What is written of a seed image. `link`: the local file to link to, in place of a copy of its bytes."""

    data: bytes
    extension: str
    link: str | None = None


@dataclass
class Work:
    """A unit on its way through the shard: what it asked for, and what came back."""

    unit: Unit
    request: Request
    copies: Iterator[int]
    original: Original | None = None
    judged: list[Judged] = field(default_factory=list)
    asked: int = 0
    exhausted: bool = False
    known: Known = field(default_factory=Known)

    def sizes(self, writing: Writing) -> tuple[list[Size], list[Size]]:
        """(width, height) of the seed image and of its kept copies, as they are written."""
        seed, copies = self.request.image, [c.image for c, v in self.judged[len(self.known.rows) :] if v.keep]
        new = [resized((image.shape[-1], image.shape[-2]), writing.output_size) for image in copies]
        return [] if seed is None else [(seed.shape[-1], seed.shape[-2])], [*self.known.sizes, *new]


class ShardWorker:
    """Makes shards of one run, in this process. Models are built once and kept between shards.

    `threads`: on how many a method without networks may encode; Pillow lets go of the interpreter meanwhile.
    """

    def __init__(self, recipe: ResolvedRecipe, plan: Plan, root: str, threads: int = 1) -> None:
        self.recipe, self.plan, self.store = recipe, plan, Folder(root)
        cache = self.store.path("cache") if self.store.local else None
        self.context = RunContext(recipe, plan.labels, plan.samples, cache)
        self.method, self.filters = recipe.method, recipe.candidate_filters
        self.signs, self.canvas = bool(recipe.run_filters), Canvas(recipe, plan)
        self.folders = _folders(plan.labels.names, self.store)
        self.digital_source = digital_source(recipe.method)
        if not (self.method.needs or self.filters):
            use_threads(1)  # pixel operations on one small image are slower on many
        else:
            threads = 2
        self.writers = ThreadPoolExecutor(threads) if threads > 1 else None
        self.context.prepare(self.method, *(f.filter for f in recipe.filters))
        self.judge = judge_for(recipe, self.context)
        self.judged_share = 1.0  # of the kept copies, by the judge
        self.earlier = Earlier(self.store, plan.labels) if plan.grows else None
        # While files are restored: file name -> how to write it, once it is known to come out as it was. Else None.
        self.held: dict[str, list[Callable[[], None]]] | None = None

    def make(self, number: int) -> dict[str, Any]:
        """Make and commit one shard; returns its marker. Finished shards are not made again."""
        marker = marker_name(number)
        if self.store.exists(marker):
            return parse_json(self.store.get(marker))  # type: ignore[no-any-return]
        self.sizes: tuple[list[Size], list[Size]] = ([], [])
        self.tallies = (Tally(), Tally())
        self.judged_share = 1.0 if number == 0 else share_judged(self.plan.wanted)
        rows, skipped = self._rows(self.plan.shards[number])
        self.context.keep()
        data = tables.encoded(rows)
        self.store.put(rows_name(number), data)
        summary = {**_summary(number, rows, skipped, data), **self._notes()}
        summary |= {"seed_size": typical(self.sizes[0]), "new_size": typical(self.sizes[1])}
        if self.judge is not None:
            summary |= {"judged_seeds": self.tallies[0].to_json(), "judged_copies": self.tallies[1].to_json()}
        self.store.put(marker, json.dumps(summary, ensure_ascii=False, sort_keys=True).encode())
        return summary

    def restore(self, number: int, wanted: Collection[str]) -> list[str]:
        """Write the files of a finished shard that are gone, and nothing else; returns those that would come out as
        other images now (of copies that depend on one another, made before the run grew), which are not written."""
        held: dict[str, list[Callable[[], None]]] = {name: [] for name in wanted}
        self.tallies, self.sizes, self.held = (Tally(), Tally()), ([], []), held
        try:
            made = _by_file(tables.table(self._rows(self.plan.shards[number])[0]).to_pylist())
            before = _by_file(RunFolder(self.store).rows(rows_name(number)))
            same = [name for name in wanted if name in made and name in before and _is_same(made[name], before[name])]
            for name in same:
                for write in held[name]:
                    write()
        finally:
            self.held = None
        return sorted(set(wanted) - set(same))

    def _notes(self) -> dict[str, list[str]]:
        """What the method says of its settings, where it says something."""
        makes = self.method.needs and self.context.notes
        return {"notes": list(makes)} if makes else {}

    def _rows(self, units: Sequence[Unit]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        """The rows of the units, whose files are all written, and what was skipped. The files of one batch are encoded
        while the next one is made."""
        rows: list[dict[str, Any]] = []
        skipped: list[tuple[str, str]] = []
        earlier: list[Future[None]] = []
        pending: list[Future[None]] = []
        try:
            for start in range(0, len(units), self.recipe.expand.batch):
                rows += self._batch(units[start : start + self.recipe.expand.batch], skipped, pending)
                _collect(earlier)
                earlier, pending = pending, earlier
            _collect(earlier)
        finally:
            wait([*earlier, *pending])  # after an error nothing is written any more
        return rows, skipped

    def _batch(
        self, units: Sequence[Unit], skipped: list[tuple[str, str]], pending: list[Future[None]]
    ) -> list[dict[str, Any]]:
        """The rows of one batch; its files join `pending`."""
        works = []
        for unit in units:
            try:
                works.append(self._begin(unit))
            except ImageError as error:
                skipped.append((unit.key, str(error)))
        self._generate([w for w in works if w.unit.wanted])
        chosen = [set(select.choose(self.recipe.select, w.judged, wanted=w.unit.wanted)) for w in works]
        # Only now is anything written: what goes wrong with the first images leaves a folder that can begin again.
        rows = [row for work in works if (row := self._original_row(work)) is not None]
        self._judge_classes(works, chosen)
        for work, positions in zip(works, chosen, strict=True):
            for known, more in zip(self.sizes, work.sizes(self.recipe.write), strict=True):
                known += more
            rows.extend(self._finish(work, positions, pending))
        return rows

    def _judge_classes(self, works: Sequence[Work], chosen: Sequence[set[int]]) -> None:
        """Whether the kept copies, and the seeds that begin here, show their class."""
        if self.judge is None:
            return
        units = [w.unit for w in works if w.unit.index is not None and w.unit.start == 0]
        seeds = self.judge.seeds([unit.key for unit in units], [unit.label for unit in units])
        kept = [(w.judged[i][0], w) for w, some in zip(works, chosen, strict=True) for i in sorted(some)]
        kept = [(c, w) for c, w in kept if c.image is not None and is_judged(c.seed, self.judged_share)]
        keys = [None if w.unit.index is None else w.unit.key for _, w in kept]
        copies = self.judge.copies([c.image for c, _ in kept], [c.label for c, _ in kept], keys)
        for tally, more in zip(self.tallies, (seeds, copies), strict=True):
            tally.merge(more)

    def _begin(self, unit: Unit) -> Work:
        known = self._known(unit)
        done, judged = {row["copy"] for row in known.rows}, list(known.judged)
        copies = (copy for copy in unit.copies() if copy not in done)
        if unit.index is None:
            request = Request(key=unit.key, label=unit.label, copies=(), seeds=())
            return Work(unit, request, copies, judged=judged, asked=len(judged), known=known)
        sample = self.plan.samples[unit.index]
        keep = self.recipe.write.originals != "none" and unit.start == 0 and known.original is None
        data = sample.source.read() if keep else None
        image = self.context.samples.next(unit.index, data)
        request = Request(key=unit.key, label=unit.label, copies=(), seeds=(), sample=sample, image=image)
        kept = self._original(unit.index, data, image) if data is not None else None
        return Work(unit, request, copies, kept, judged, len(judged), known=known)

    def _known(self, unit: Unit) -> Known:
        """What there is of a unit where the run grows. Images are decoded only for the judge."""
        if self.earlier is None:
            return Known()
        share = self.judged_share if self.judge is not None else 0.0
        return self.earlier.known(unit, lambda row: is_judged(row["rng_seed"], share))

    def _original_row(self, work: Work) -> dict[str, Any] | None:
        """The row of the original, which is written where it is not there yet; None where it is not kept here."""
        if work.known.original is not None or work.original is None:
            return work.known.original
        return self._keep_original(work.unit, work.request, work.original)

    def _original(self, index: int, data: bytes, image: Image) -> Original:
        """Raises ImageError for an image that cannot be written."""
        sample = self.plan.samples[index]
        written, extension = original(data, image, self.recipe.write, self._mark_of_seed(index))
        source, links = sample.source, self.recipe.write.originals == "link" and self.store.local
        if links and written is data and isinstance(source, FileBacked) and source.is_whole_file:
            return Original(written, extension, source.path)
        return Original(written, extension)

    def _generate(self, works: list[Work]) -> None:
        """Ask, judge, and ask again for what is still missing, until all is there or the budget is spent."""
        active = works
        while active:
            asks = [(w, self._ask(w)) for w in active]
            asks = [(w, request) for w, request in asks if request.copies]
            if not asks:
                return
            answers = self.method.expand([self.canvas.show(request) for _, request in asks], self.context)
            by_key: dict[tuple[str, int], list[Candidate]] = {}
            for candidate in answers:
                by_key.setdefault((candidate.key, candidate.copy), []).append(candidate)
            fresh = []
            for work, request in asks:
                mine = [c for copy in request.copies for c in by_key.get((request.key, copy), [])]
                work.exhausted = len(mine) < len(request.copies)
                fresh += [(work, request, self.canvas.take_back(_steadied(c), request)) for c in mine]
            self._judge(fresh)
            active = [w for w, _ in asks if not w.exhausted]

    def _ask(self, work: Work) -> Request:
        kept = sum(verdict.keep for _, verdict in work.judged)
        # A pool's list ends by itself (RET: 1.4 to 14 times the wanted number), so it needs no budget of tries.
        tried = 0 if "pool" in self.method.needs else work.asked
        count = select.wants_more(self.recipe.select, wanted=work.unit.wanted, tried=tried, kept=kept)
        copies = tuple(islice(work.copies, count))
        work.asked += len(copies)
        seeds = tuple(image_seed(self.recipe.expand.seed, self.recipe.method_name, work.unit.key, c) for c in copies)
        r = work.request
        return Request(key=r.key, label=r.label, copies=copies, seeds=seeds, sample=r.sample, image=r.image)

    def _judge(self, fresh: list[tuple[Work, Request, Candidate]]) -> None:
        """Every filter in turn judges what the ones before it kept; the first that refuses gives the reason."""
        reasons = [c.failed or reason_not_to_write(c.image, self.recipe.write) for _, _, c in fresh]
        verdicts = [Verdict(keep=not reason, reason=reason) for reason in reasons]
        scores: list[dict[str, float]] = [{} for _ in fresh]
        infos: list[dict[str, Scalar]] = [{} for _ in fresh]
        for named in self.filters:
            alive = [i for i, v in enumerate(verdicts) if v.keep]
            if not alive:
                break
            given = named.filter.judge([fresh[i][2] for i in alive], [fresh[i][1] for i in alive], self.context)
            for i, verdict in zip(alive, given, strict=True):
                verdicts[i] = verdict
                infos[i].update(verdict.info)
                if verdict.score is not None:
                    scores[i][named.column] = steady(verdict.score)
        for (work, _, candidate), verdict, extra, info in zip(fresh, verdicts, scores, infos, strict=True):
            work.judged.append((with_findings(candidate, extra, info), verdict))

    def _finish(self, work: Work, chosen: set[int], pending: list[Future[None]]) -> list[dict[str, Any]]:
        rows = list(work.known.rows)
        for position, (candidate, verdict) in list(enumerate(work.judged))[len(rows) :]:
            kept = position in chosen
            reason = "" if kept else (verdict.reason or "not selected")
            rows.append(self._row(work, candidate, kept, reason, pending))
        return rows

    def _is_worth_a_file(self, rejected: Tensor) -> bool:
        return self.recipe.write.keep_rejected and not reason_not_to_write(rejected, self.recipe.write)

    def _row(self, work: Work, c: Candidate, kept: bool, reason: str, pending: list[Future[None]]) -> dict[str, Any]:
        file_name = None
        if c.image is not None and (kept or self._is_worth_a_file(c.image)):
            width = 5 if work.unit.index is None else 3
            stem = f"{names.stem(c.key)}-{c.copy:0{width}d}{EXTENSIONS[self.recipe.write.format]}"
            file_name = f"{'images' if kept else 'rejected'}/{self.folders[c.label]}/{stem}"
            self._put(file_name, c.image, self._mark(work.unit, c), pending)
        mask = None if c.mask is None or file_name is None else self._put_mask(file_name, c.mask)
        return {
            **self._common(file_name, c.label),
            "origin": str(c.info.get("origin", "synthetic")),
            "seed_image": None if work.unit.index is None else c.key,
            "method": self.recipe.method_name,
            "copy": c.copy,
            "prompt": c.prompt,
            "prior": self.recipe.roles.prior,
            "guide": self.recipe.roles.guide,
            "rng_seed": c.seed,
            "kept": kept,
            "reason": reason,
            "soft_label": None if c.soft_label is None else list(c.soft_label),
            **_group(work.request.sample),
            **({"info_signature": _signature(c.image)} if self.signs and kept else {}),
            **{f"score_{k}": float(v) for k, v in c.scores.items()},
            **{f"info_{k}": v for k, v in c.info.items() if k != "origin"},
            **({} if mask is None else {"info_mask": mask}),
        }

    def _keep_original(self, unit: Unit, request: Request, kept: Original) -> dict[str, Any]:
        assert request.sample is not None
        name = f"images/{self.folders[unit.label]}/{names.stem(unit.key)}{kept.extension}"
        if kept.link is not None:
            self._write(name, partial(self.store.link, name, kept.link))
        else:
            self._write(name, partial(self.store.put, name, kept.data))
        soft = request.sample.soft_label
        return {
            **self._common(name, unit.label),
            "origin": str(request.sample.meta.get("origin", "original")),
            "seed_image": unit.key,
            "kept": True,
            "reason": "",
            "soft_label": None if soft is None else list(soft),
            **_group(request.sample),
        }

    def _common(self, file_name: str | None, label: int) -> dict[str, Any]:
        return {"file_name": file_name, "label": label, "class_name": self.plan.labels[label].name}

    def _mark(self, unit: Unit, c: Candidate) -> bytes:
        """What a copy's file says of itself. A copy of a generated picture is one, whatever was done to it."""
        if not self.plan.run_id:
            return b""
        source = self.digital_source
        if source not in GENERATED:
            source = self._generated(unit, c) or source
        return packet(Mark(self.plan.run_id, self.recipe.method_name, source, Taken.of(c.info)))

    def _generated(self, unit: Unit, c: Candidate) -> DigitalSource | None:
        """What the seed, the partner or the picture that a copy is taken from says, where a model made one of them."""
        places = (unit.index, self.plan.places.get(str(c.info.get("partner") or "")))
        said = (None if place is None else self.plan.generated.get(place) for place in places)
        return next((word for word in said if word is not None), c.digital_source)

    def _mark_of_seed(self, index: int) -> bytes:
        """What the file of a generated seed says, for where it is written anew."""
        source = self.plan.generated.get(index)
        return packet(Mark("", "", source)) if source is not None and self.plan.run_id else b""

    def _put_mask(self, file_name: str, mask: Any) -> str:
        """Written as masks/CLASS/NAME.png, whether the image is kept or rejected; returns the name."""
        name = f"masks/{file_name.split('/', 1)[1].rsplit('.', 1)[0]}.png"
        self._write(file_name, lambda: self.store.put(name, encode_mask(mask, self.recipe.write)))
        return name

    def _put(self, file_name: str, image: Any, xmp: bytes, pending: list[Future[None]]) -> None:
        def write() -> None:
            self.store.put(file_name, encode(image, self.recipe.write, xmp))

        if self.writers is None or self.held is not None:
            self._write(file_name, write)
        else:
            pending.append(self.writers.submit(write))

    def _write(self, file_name: str, write: Callable[[], None]) -> None:
        """Write what belongs to an image; while files are restored, later or never."""
        if self.held is None:
            write()
        elif file_name in self.held:
            self.held[file_name].append(write)


def _signature(image: Image) -> str:
    from imaginate.ops.similarity import signature  # PyTorch comes with it

    return signature(to_uint8(image)[None])[0]


def _by_file(rows: Sequence[Row]) -> dict[str, Row]:
    """File name -> its row, without what the row does not know."""
    named = ((row["file_name"], row) for row in rows if row["file_name"] is not None)
    return {name: {key: value for key, value in row.items() if value is not None} for name, row in named}


def _is_same(one: Row, other: Row) -> bool:
    """Whether two rows say the same of an image: its numbers within what another batch or device changes."""
    if one.keys() != other.keys():
        return False
    return all(_is_close(one[key], other[key]) for key in one)


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_is_close, one, other))
    return abs(one - other) <= ROUNDING if isinstance(one, float) else bool(one == other)


def _folders(classes: Sequence[str], store: Folder) -> list[str]:
    """The folder of each class; in a run that an earlier version began with other names, as there."""
    folders = names.folders_in_label_order(classes)
    there = set(store.names("images")) - set(folders)
    for earlier in (names.folders_in_label_order(classes, guarded=False), names.class_folders(classes, guarded=False)):
        if not there.isdisjoint(earlier):
            return earlier
    return folders


def _group(sample: Sample | None) -> dict[str, Any]:
    """The column of what has to stay on one side of every cut (a patient, a volume, a slide), where the seed has it."""
    group = None if sample is None else sample.meta.get(GROUP)
    return {} if group is None else {GROUP: str(group)}


def rows_name(number: int) -> str:
    """The rows of a shard."""
    return f"shards/{number:06d}.parquet"


def marker_name(number: int) -> str:
    """The file whose presence says that a shard is complete."""
    return f"shards/{number:06d}.json"


def _steadied(candidate: Candidate) -> Candidate:
    return dataclasses.replace(candidate, scores={name: steady(value) for name, value in candidate.scores.items()})


def with_findings(candidate: Candidate, scores: dict[str, float], info: dict[str, Scalar]) -> Candidate:
    """The candidate with the filters' findings added to its own."""
    if not scores and not info:
        return candidate
    return dataclasses.replace(candidate, scores={**candidate.scores, **scores}, info={**candidate.info, **info})


def _summary(number: int, rows: list[dict[str, Any]], skipped: list[tuple[str, str]], data: bytes) -> dict[str, Any]:
    reasons = Counter(row["reason"] for row in rows if not row["kept"])
    return {
        "shard": number,
        "originals": sum(row.get("method") is None for row in rows),
        "kept": sum(row["kept"] and row.get("method") is not None for row in rows),
        "rejected": dict(sorted(reasons.items())),
        "skipped": [list(item) for item in skipped],
        "rows_sha256": hashlib.sha256(data).hexdigest(),
    }


def _collect(pending: list[Future[None]]) -> None:
    for future in pending:
        future.result()
    pending.clear()
