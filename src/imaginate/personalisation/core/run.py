"""A fit from beginning to end: encode, train, validate, keep checkpoints and sheets, stop when the loss stagnates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from imaginate import registry
from imaginate.data import Dataset, DataSpec, open_dataset
from imaginate.devices import pick_device
from imaginate.errors import ConfigError, ImageError
from imaginate.files import content_hash, replace_file, short_hash
from imaginate.models.adaptations.folder import Manifest, fingerprint
from imaginate.models.priors import build_prior
from imaginate.models.weights import weights_of
from imaginate.ownership import own
from imaginate.personalisation.core.images import Images, prepare
from imaginate.personalisation.core.loop import Trainer, now
from imaginate.personalisation.core.networks import check_tunable, reads_prompts
from imaginate.personalisation.core.objective import objective_of
from imaginate.personalisation.core.plan import FitPlan, Learner, Task, Technique, TunablePrior
from imaginate.personalisation.core.sheets import sheet
from imaginate.personalisation.core.store import Store
from imaginate.progress import Bar, bar
from imaginate.settings import build, settings_of
from imaginate.tracking import log as track

HELD_OUT = "held-out.json"


def fit(
    technique: str,
    data: str | DataSpec,
    out: str | Path,
    *,
    prior: str | TunablePrior = "nano",
    settings: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | FitPlan | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Manifest:
    """Fit a technique to a dataset and write the adaptation to `out`; the same call finishes a fit that was killed.

    `prior`: nano, a checkpoint's id or folder, or a built prior of the technique's family (then on its own device); its
    frozen tensors come back as they were. `settings` are the technique's, `plan` those that all techniques share
    (`batch`, `held_out`, ...). Raises ImaginateError with one line.
    """
    chosen: Technique = registry.make("techniques", technique, settings)
    fit_plan = plan if isinstance(plan, FitPlan) else build(FitPlan, dict(plan or {}), where="fit")
    tuned = _prior(chosen, fit_plan, prior, device) if isinstance(prior, str) else prior
    if tuned.family != chosen.family and not (chosen.family == "stable-diffusion" and reads_prompts(tuned)):
        raise ConfigError(f"technique {technique} needs a {chosen.family} prior, {tuned.name} is {tuned.family}")
    check_tunable(tuned)
    dataset = open_dataset(data)
    manifest = _manifest(technique, chosen, fit_plan, tuned, fingerprint(tuned), dataset)
    store = Store(out)
    store.open(manifest, is_dry=True)
    with own(store.root, "fit"):
        return _fit(chosen, fit_plan, tuned, dataset, store, store.open(manifest), progress)


def _fit(
    chosen: Technique,
    fit_plan: FitPlan,
    tuned: TunablePrior,
    dataset: Dataset,
    store: Store,
    manifest: Manifest,
    progress: bool,
) -> Manifest:
    """The same, by the owner of the folder."""
    if manifest.finished:
        store.forget_state()
        return manifest
    key = short_hash([manifest.fingerprint, manifest.data.get("content")])
    images = prepare(dataset, tuned, fit_plan, store.root / "cache", key, progress=progress)
    held_out = [dataset.samples[images.index[row]].id for row in images.held_out]
    text = json.dumps(held_out, ensure_ascii=False)
    replace_file(store.root / HELD_OUT, lambda partial: partial.write_text(text, encoding="utf-8"))
    task = Task(tuned, dataset.labels, images.labels, images.train, images.image, fit_plan, tuned.device, progress)
    learner = chosen.build(task)
    try:
        return _Run(chosen, fit_plan, tuned, images, learner, store, manifest).finish(progress)
    finally:
        learner.close()


def _prior(technique: Technique, plan: FitPlan, spec: str, device: str) -> TunablePrior:
    """The prior by name. Weights that learn are float32; what stays frozen may be in the working precision."""
    dtype = "float32" if technique.trains_weights else plan.precision
    return cast(TunablePrior, build_prior(technique.family, spec, device=pick_device(device), dtype=dtype))


def _manifest(
    technique: str,
    chosen: Technique,
    plan: FitPlan,
    prior: TunablePrior,
    print_of: dict[str, Any],
    dataset: Dataset,
) -> Manifest:
    content = short_hash([(s.id, s.label) for s in dataset.samples])
    return Manifest(
        technique=technique,
        family=prior.family,
        prior=prior.name,
        fingerprint=print_of,
        classes=list(dataset.labels.names),
        settings={"technique": _plain(chosen), "plan": _plain(plan)},
        weights=dict(weights_of(prior.name, prior.family) or {}),
        data={"name": dataset.name, "images": len(dataset), "fingerprint": content, "content": _content(dataset)},
    )


def _content(dataset: Dataset) -> str:
    """A hash of all pictures' bytes; of a picture that cannot be read, the reason."""
    hashes = []
    for sample in dataset.samples:
        try:
            hashes.append(content_hash(sample.source.read()))
        except (ImageError, OSError) as error:
            hashes.append(str(error))
    return short_hash(hashes)


def _plain(instance: Technique | FitPlan) -> dict[str, Any]:
    values = {s.name: getattr(instance, s.name) for s in settings_of(type(instance))}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


class _Run:
    """The epochs of one fit. What is carried from one to the next is in `manifest` and in the trainer's state."""

    def __init__(
        self,
        technique: Technique,
        plan: FitPlan,
        prior: TunablePrior,
        images: Images,
        learner: Learner,
        store: Store,
        manifest: Manifest,
    ) -> None:
        self.technique, self.plan, self.prior, self.images = technique, plan, prior, images
        self.learner, self.store, self.manifest = learner, store, manifest
        self.trainer = Trainer(learner, objective_of(prior), images, plan, prior.device)
        self.epoch, self.done, self.total, self.seconds = 0, 0, 0.0, 0.0
        manifest.words, manifest.clusters, manifest.template = learner.words, learner.clusters, learner.template
        manifest.notes = list(learner.notes)
        manifest.data["skipped"], manifest.data["held_out"] = images.skipped, len(images.held_out)
        self._resume()

    def _resume(self) -> None:
        state = self.store.load_state(self.prior.device)
        if state is None:
            self.manifest.history, self.manifest.checkpoints = [], {}
            return
        self.trainer.load(state["trainer"])
        self.epoch, self.done, self.total = int(state["epoch"]), int(state["done"]), float(state["total"])
        self.manifest.history = json.loads(state["history"])
        self.manifest.checkpoints = json.loads(state["checkpoints"])
        if best := self.manifest.checkpoints.get("best"):
            self._choose(best)

    def finish(self, progress: bool) -> Manifest:
        """Train until an end is reached: epochs, steps, or a validation loss that stagnates."""
        steps = self.images.steps(self.plan)
        whole = min(steps * self.technique.epochs, self.plan.max_steps or steps * self.technique.epochs)
        with bar("validating", whole, unit="steps", done=self.trainer.step, show=progress) as shown:
            if self.epoch == 0 and self.done == 0 and not self.manifest.history:
                self._baseline()
            shown.note("fitting")
            while self.done > 0 or not self._over():
                self._epoch(shown)
        self.store.keep_only(set(self.manifest.checkpoints.values()))
        self.manifest.finished = True
        self.manifest.write(self.store.root)
        self.store.forget_state()
        return self.manifest

    def _baseline(self) -> None:
        """Epoch 0 of the history: the loss before anything is learnt."""
        loss = self.trainer.validate()
        self.manifest.history = [{"epoch": 0, "step": 0, "train_loss": None, "validation_loss": loss, "seconds": 0.0}]
        self.manifest.write(self.store.root)

    def _over(self) -> bool:
        if self.epoch >= self.technique.epochs:
            return True
        if self.plan.max_steps is not None and self.trainer.step >= self.plan.max_steps:
            return True
        tried = [h for h in self.manifest.history if h["epoch"] > 0]
        best = best_epoch(self.manifest.history)
        return bool(tried) and best is not None and tried[-1]["epoch"] - best >= self.plan.patience

    def _epoch(self, shown: Bar) -> None:
        began = now()
        for done, total in self.trainer.train_epoch(self.epoch, self.done, self.total):
            self.done, self.total = done, total
            shown.advance()
            if self.trainer.step % self.plan.save_every == 0:
                self._save()
        self.epoch, seen = (
            self.epoch + 1,
            max(1, min(self.done * self.plan.batch * self.plan.accumulate, len(self.images.train))),
        )
        with self.trainer.averaged():
            shown.note(f"epoch {self.epoch}: validating")
            loss = self.trainer.validate()
            entry = {"epoch": self.epoch, "step": self.trainer.step, "train_loss": self.total / seen}
            self.manifest.history.append({**entry, "validation_loss": loss, "seconds": round(now() - began, 3)})
            track({"train_loss": entry["train_loss"], "validation_loss": loss}, self.trainer.step)
            self._checkpoint()
            if self._drawn():
                shown.note(f"epoch {self.epoch}: drawing samples")
                file = self.store.root / "samples" / f"epoch-{self.epoch:02d}.png"
                sheet(file, self.learner, self.images, self.prior, self.plan)
            shown.note(f"epoch {self.epoch}: {loss if loss is not None else self.total / seen:.4f}")
        self.done, self.total = 0, 0.0
        self._save()
        self.manifest.write(self.store.root)
        self.store.keep_only(set(self.manifest.checkpoints.values()))

    def _drawn(self) -> bool:
        """Whether this epoch has a sheet. On a small dataset a sheet costs more than an epoch: hence ever fewer."""
        every = self.plan.sheet_every
        if every is None:
            return self.epoch & (self.epoch - 1) == 0
        return every > 0 and self.epoch % every == 0

    def _checkpoint(self) -> None:
        """This epoch's checkpoint and the roles that it takes; RET keeps best, best-train, and the first epochs."""
        name = f"epoch-{self.epoch:02d}"
        self.store.save_checkpoint(name, self.learner.save)
        roles = self.manifest.checkpoints
        roles["last"] = name
        if self.epoch <= self.technique.keep_first:
            roles[name] = name
        if best_epoch(self.manifest.history) == self.epoch:
            roles["best"] = name
            self._choose(name)
        if best_epoch(self.manifest.history, "train_loss") == self.epoch:
            roles["best-train"] = name

    def _choose(self, name: str) -> None:
        """The checkpoint that is used, and why."""
        self.manifest.chosen = name
        self.manifest.chosen_by = "validation loss" if self.images.held_out else "training loss"

    def _save(self) -> None:
        state = {
            "trainer": self.trainer.state(),
            "epoch": self.epoch,
            "done": self.done,
            "total": self.total,
            "history": json.dumps(self.manifest.history),
            "checkpoints": json.dumps(self.manifest.checkpoints),
        }
        self.store.save_state(state)


def best_epoch(history: list[dict[str, Any]], key: str = "validation_loss") -> int | None:
    """The epoch (from 1) of the lowest loss; the training loss where nothing is held out; the earliest of equals."""
    trained = [h for h in history if h["epoch"] > 0]
    if not trained:
        return None
    used = key if trained[0].get(key) is not None else "train_loss"
    return int(min(trained, key=lambda h: h[used])["epoch"])


def describe(manifest: Manifest, out: str | Path) -> str:
    """What a fit did, for a person."""
    lines = [
        f"{manifest.technique} on {manifest.data.get('images')} images of {len(manifest.classes)} classes -> {out}"
    ]
    losses = {f"epoch-{h['epoch']:02d}": h["validation_loss"] for h in manifest.history}
    before, after = losses.pop("epoch-00", None), losses.get(manifest.chosen)
    if before is not None and after is not None:
        best = min(losses, key=lambda name: losses[name])
        more = f" (lowest {losses[best]:.4f} at {best})" if losses[best] < after else ""
        lines.append(f"validation loss {before:.4f} before, {after:.4f} at {manifest.chosen}{more}")
    kept = ", ".join(sorted(set(manifest.checkpoints.values())))
    lines.append(f"checkpoint {manifest.chosen} chosen by {manifest.chosen_by}; kept: {kept}")
    skipped = manifest.data.get("skipped") or {}
    lines += [f"skipped {count} images: {reason}" for reason, count in skipped.items()]
    return "\n".join([*lines, *manifest.notes])
