"""Choose a fit's checkpoint as RET does: by the validation accuracy of a classifier trained on seeds and new images.

RET section 3.2: "We selected the final model checkpoint based on the validation accuracy of a ResNet-50 classifier
trained on the union of augmented samples and the target data set." ResNet-50 is the network of its study: here it is
that of a study that is named, or else what `imaginate compare` would train. The validation images are the originals
that the fit held out; neither the adaptation nor the classifier has trained on them, or on what descends from them.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.data import DataSpec, open_dataset
from imaginate.errors import ConfigError, ModelError
from imaginate.limits import parse_json
from imaginate.models.adaptations.folder import Manifest, read_manifest
from imaginate.ownership import own
from imaginate.progress import bar
from imaginate.runs import Values
from imaginate.settings import check, setting, values_of

if TYPE_CHECKING:
    from imaginate.training.learners import Learner
    from imaginate.training.training_set import TrainingSet

# The method that an adaptation is for, where it has not the technique's own name.
METHODS = {"dreambooth": "prompt", "reconstruction": "unclip"}


@dataclass(frozen=True, kw_only=True)
class CheckpointSelection:
    """The images that each checkpoint makes, and the classifier that is trained on them."""

    method: str | None = setting(None, "method that makes those images (default: by technique)", flag="select-method")
    per_class: int = setting(
        100, "new images per class; a method that edits seeds makes one of each seed", ge=1, flag="select-per-class"
    )
    updates: int = setting(1500, "updates of the classifier", ge=1, flag="select-updates")
    study: str | None = setting(None, "folder of a study: its classifier, at its image size", flag="select-study")
    arch: str | None = setting(
        None, "the classifier (default: the study's, or that of compare: on a CPU a probe, on a GPU resnet50)",
        flag="select-arch",
    )  # fmt: skip
    size: int | None = setting(
        None, "image size of the classifier (default: the study's, or the classifier's own)", ge=1, flag="select-size"
    )

    def __post_init__(self) -> None:
        check(self)

    def classifier(self, device: str) -> Classifier:
        """The classifier by its full name: as asked, else the study's main one, else the default of `compare`."""
        from imaginate.training.learners import learner_of
        from imaginate.training.settings import default_learners

        stored = _protocol_of(self.study) if self.study is not None else {}
        names = stored.get("learners") or [name for name in (stored.get("arch"),) if name] or default_learners(device)
        arch = self.arch or str(names[0])
        pretrained = bool(stored.get("pretrained", False))
        size = self.size or int(stored.get("image_size", 0)) or learner_of(arch, pretrained=pretrained).size
        return Classifier(arch, size, pretrained)


@dataclass(frozen=True)
class Classifier:
    """The network that judges a checkpoint, the side of its input, and whether it starts from published weights."""

    arch: str
    size: int
    pretrained: bool

    @property
    def learner(self) -> Learner:
        """How it comes from images."""
        from imaginate.training.learners import learner_of

        return learner_of(self.arch, pretrained=self.pretrained)


def _protocol_of(study: str) -> Values:
    """What a study's folder says of its protocol; ConfigError where there is none."""
    from imaginate.evaluation.folder import StudyFile

    found = StudyFile(Path(study)).protocol if Path(study).is_dir() else None
    if found is None:
        raise ConfigError(f"select-study must be the folder of a study (imaginate compare --out), got {study}")
    return found


def method_for(technique: str, asked: str | None = None) -> str:
    """The method that uses an adaptation of this technique."""
    return asked or METHODS.get(technique, technique)


def check_selection(technique: str, selection: CheckpointSelection, held_out: float, device: str) -> None:
    """Refuse before a fit what the selection could not do after it. `held_out`: the share that the fit holds out."""
    from imaginate import registry

    if held_out == 0:
        raise ConfigError("select-by accuracy needs held-out images, got held_out 0")
    method = method_for(technique, selection.method)
    registry.find("methods", method)
    if why := _unfit(method, technique):
        fit = ", ".join(name for name in registry.names("methods") if not _unfit(name, technique))
        raise ConfigError(f"select-method {method} {why}; those that can judge a fit of {technique}: {fit}")
    selection.classifier(device).learner.check()


def _unfit(name: str, technique: str) -> str:
    """Why a method cannot make images with a fit of this technique and nothing else; "" where it can."""
    from imaginate import registry
    from imaginate.contract import prior_family

    method = registry.find("methods", name)
    family = prior_family(method.needs)
    if not family or family != prior_family(registry.find("methods", method_for(technique)).needs):
        return "draws with no prior of that family"
    others = [role for role in (need.split(":", 1)[0] for need in method.needs) if role not in ("prior", "adaptation")]
    if others:
        return f"needs a {others[0]} too, which a fit does not have"
    takes = getattr(method, "adaptations", (name,)) if "adaptation" in method.needs else (technique,)
    return "" if technique in takes else f"takes a fit of {' or '.join(takes)} alone"


def select_checkpoint(
    adaptation: str | os.PathLike[str],
    data: DataSpec,
    *,
    prior: str,
    selection: CheckpointSelection | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Manifest:
    """Make images with every kept checkpoint, train a classifier on each, and write the best into adaptation.json.

    The same call goes on where it was stopped. Raises ModelError where there is no adaptation.
    """
    from imaginate.devices import pick_device

    folder = Path(adaptation)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ModelError(f"{folder} has no adaptation.json: it is no adaptation folder")
    with own(folder, "fit"):
        return _select(manifest, folder, data, prior, selection or CheckpointSelection(), pick_device(device), progress)


def _select(
    manifest: Manifest,
    folder: Path,
    data: DataSpec,
    prior: str,
    selection: CheckpointSelection,
    device: str,
    progress: bool,
) -> Manifest:
    """The same, by the owner of the folder."""
    classifier = selection.classifier(device)
    trial = _Trial(folder, data, prior, manifest.technique, selection, classifier, device, progress)
    names = sorted(set(manifest.checkpoints.values()))
    for name in names:
        key = trial.key(name)
        if key not in manifest.accuracy:
            manifest.accuracy[key] = trial.accuracy(name)
            manifest.write(folder)
    scores = {name: manifest.accuracy[trial.key(name)] for name in names}
    manifest.chosen = max(names, key=lambda name: scores[name])  # the earliest of equals
    manifest.chosen_by = "validation accuracy: " + ", ".join(f"{n} {scores[n]:.3f}" for n in names)
    manifest.write(folder)
    return manifest


@dataclass(frozen=True)
class _Trial:
    """The same trial for every checkpoint of one adaptation."""

    folder: Path
    data: DataSpec
    prior: str
    technique: str
    selection: CheckpointSelection
    classifier: Classifier
    device: str
    progress: bool

    @property
    def method(self) -> str:
        """The method that makes the images."""
        return method_for(self.technique, self.selection.method)

    def images(self, checkpoint: str) -> str:
        """The name of the run that a checkpoint makes."""
        return f"{checkpoint}-{self.method}-{self.selection.per_class}"

    def key(self, checkpoint: str) -> str:
        """All that a checkpoint's accuracy depends on; also the name of its classifier's folder. `apart`: measured
        without descendants of validation images in training, which earlier versions did not leave out."""
        own = f"{self.classifier.arch}-{self.classifier.size}-{self.selection.updates}"
        start = "-pretrained" if self.classifier.pretrained else ""
        return f"{self.images(checkpoint)}-{own}{start}-apart".replace("/", "-").replace(":", "-")

    def accuracy(self, checkpoint: str) -> float:
        """The best validation accuracy of one classifier."""
        from imaginate.training.learners import fit
        from imaginate.training.plan import TrainPlan
        from imaginate.training.recipes import Recipe

        run, network = self.expand(checkpoint), self.classifier
        held_out = parse_json((self.folder / "held-out.json").read_text(encoding="utf-8"))
        train, validation, classes = training_sets(
            self.data, run, held_out, self.folder / "select" / "pixels", size=network.size
        )
        recipe, learner = Recipe(batch=min(64, len(train))), network.learner
        originals = int((train.part == 0).sum())
        plan = TrainPlan(
            arch=network.arch, classes=classes, size=network.size, recipe=recipe, updates=self.selection.updates,
            epoch=max(1, originals // recipe.batch), seed=0, device=self.device, pretrained=learner.starts_trained,
            statistics=(learner.mean, learner.std),
        )  # fmt: skip
        folder = self.folder / "select" / self.key(checkpoint)
        with bar(f"testing {run.name}", plan.updates, unit="updates", show=self.progress) as shown:
            return fit(plan, train, validation, folder, advance=shown.advance).state.best[0]

    def expand(self, checkpoint: str) -> Path:
        """A run of the technique's method with one checkpoint, new images only."""
        from imaginate import registry
        from imaginate.engine.run import expand

        run = self.folder / "select" / self.images(checkpoint)
        by_class = registry.find("methods", self.method).starts_from == "class"
        recipe = {
            "data": values_of(self.data),
            "method": self.method,
            "expand": {"per_class": self.selection.per_class} if by_class else {"copies": 1},
            "roles": {"prior": self.prior, "adaptation": f"{self.folder}@{checkpoint}", "device": self.device},
            "write": {"originals": "none"},
        }
        expand(out=run, recipe=recipe, progress=self.progress)
        return run


def training_sets(
    data: DataSpec, run: Path, held_out: Collection[str], cache: Path, *, size: int
) -> tuple[TrainingSet, TrainingSet, int]:
    """What the classifier of one checkpoint is trained on and chosen by, and the number of classes: the originals that
    were not held out, with the run's new images; those that were held out."""
    from imaginate.training.labels import align_labels
    from imaginate.training.pixel_cache import build_pixel_cache
    from imaginate.training.training_set import Images, TrainingImages, join

    seeds = open_dataset(data)
    new, classes = align_labels(open_dataset(run), seeds, f"run {run}"), len(seeds.labels)
    pixels, new_pixels = (build_pixel_cache(d.samples, cache, size=size, classes=classes) for d in (seeds, new))
    parts = TrainingImages(Images(seeds, pixels), Images(new, new_pixels)).hold_back(held_out)
    if not len(parts.validation):
        raise ConfigError("select-by accuracy needs held-out images, got one image a class")
    if not len(parts.added):
        reasons = "".join(f", {count} left out: {reason}" for reason, count in parts.excluded.items())
        raise ModelError(f"{run} has no new image to train on{reasons}")
    train = join([pixels.piece(parts.rows, soft=False), new_pixels.piece(parts.added)], classes)
    return train, join([pixels.piece(parts.validation, soft=False)], classes), classes
