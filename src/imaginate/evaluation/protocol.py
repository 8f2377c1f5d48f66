"""The protocol of a study: everything that must be the same for every arm, so that only the images differ.

Equal updates by default (the papers gave the larger sets more training), a validation part of the original images for
every choice, the held-out images for nothing but the last measurement.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from imaginate.data import DataSpec
from imaginate.errors import ConfigError, RunError
from imaginate.runs import Facts, Values
from imaginate.settings import build, check, reworded, setting
from imaginate.training.architectures import SMALL
from imaginate.training.augment import Policy
from imaginate.training.learners import learner_of
from imaginate.training.plan import Precision
from imaginate.training.recipes import Recipe, Schedule, adjust
from imaginate.training.settings import FINETUNE, PROBE, ClassifierSettings, as_begun, default_learners
from imaginate.training.weighting import check_weighted

FORMAT = "imaginate-study/1"
# What may change on a finished study without training anything again: settings of the analysis, and where the images
# are (that they are the same images is checked by their fingerprints).
FREE = (
    "seeds", "level", "bootstrap", "reference", "allow_leak", "data", "held_out", "real", "detect", "controls",
)  # fmt: skip
QUICK: Values = {"arch": PROBE, "image_size": 64, "recipe": "default", "seeds": 11, "updates": 150, "batch": 64}
LONG = 3600.0  # seconds on a CPU that nobody waits for without having said so


@dataclass(frozen=True, kw_only=True)
class Protocol(ClassifierSettings):
    """What is trained on what, measured how. Its fields are the flags of `imaginate compare`."""

    data: str = setting(help="dataset whose training images every arm starts from")
    split: str | None = reworded(ClassifierSettings, "split", "split of the original training images")
    shots: int | None = setting(None, "original training images a class", ge=1)
    fraction: float | None = setting(None, "share of the original training images", gt=0, le=1)
    imbalance: float | None = setting(
        None,
        "a long tail of original training images: so many times the images in the first class as in the last",
        ge=1,
    )
    subset_seed: int = setting(0, "another seed picks other images for shots, fraction and imbalance", ge=0)
    held_out: str | None = setting(
        help="dataset of the held-out images, used once, at the end; none with folds, or for another split of the data"
    )
    held_out_split: str | None = reworded(
        ClassifierSettings,
        "held_out_split",
        "split of the held-out images, such as test (default: all but the training one); rest: what shots or fraction "
        "left out",
    )
    folds: int | None = setting(
        None, "k-fold: each image is held out once, groups together, in place of held-out images", ge=2
    )
    validation_split: str | None = setting(
        None,
        "a split of the dataset for model selection, in place of a share; rest: as many images as the training part, "
        "of what shots or fraction left out (RET section 3)",
    )
    short: Literal["keep", "exclude"] = setting(
        "keep",
        "classes of which a run has fewer new images than it was to make: exclude leaves them out of training and "
        "measuring, in every arm alike (RET section 3)",
    )
    arch: str | None = reworded(
        ClassifierSettings,
        "arch",
        "classifier: probe:BACKBONE, finetune:BACKBONE, or from scratch small or a timm name (default: on a CPU a "
        "probe and fine-tuning, on a GPU resnet50)",
    )
    learners: tuple[str, ...] = setting(
        (), "several classifiers in one study: probe, finetune, scratch, or what arch takes; the first is the main one"
    )
    real: str | None = setting(
        None, "dataset of more real images for real:N (default: what shots or fraction left out)"
    )
    real_split: str | None = setting(None, "split of the dataset of more real images")
    seeds: int = setting(3, "classifiers an arm, each with its own validation part, weights and order", ge=1)
    resamples: int = setting(1, "subsets of the new images, of the original set's size, a seed; RET has 5", ge=1)
    budget: Literal["updates", "epochs", "cost"] = setting(
        "updates",
        "what is equal across arms; epochs repeats the papers; cost: the seconds of training and of making the images",
    )
    updates: int | None = reworded(
        ClassifierSettings, "updates", "updates for every arm (default: the recipe's epochs over the largest arm)"
    )
    schedule: Schedule | None = setting(None, "fall of the learning rate, in place of the recipe's")
    mode: Literal["concat", "replace"] = setting("concat", "new images in addition to the originals, or in their place")
    replace_p: float = setting(
        1.0, "probability of using a new image in place of an original, with replace", gt=0, le=1
    )
    online_aug: Policy = reworded(ClassifierSettings, "online_aug", "on-line augmentation of every arm alike")
    corruptions: Literal["none", "3", "all"] = setting("none", "corruption accuracy at severity 3, or at all five")
    corruption_constants: Literal["imagenet-c", "cifar-c"] = setting(
        "imagenet-c",
        "how strong a severity is: as in ImageNet-C, at any size, or as in CIFAR100-C, which GIF Table 2 has, at 32 "
        "pixels",
        source="Hendrycks & Dietterich",
    )
    corruption_images: int = setting(1000, "held-out images that are corrupted, by class", ge=1)
    clip: str = setting("nano", "guide of the clip-... arms")
    reference: str = setting("original", "arm that the others are compared with")
    level: float = setting(0.95, "coverage of the intervals", gt=0, lt=1)
    bootstrap: int = setting(
        2000, "changes nothing: intervals are computed, not drawn (earlier studies name it)", ge=100
    )
    detect: float | None = setting(
        None, "points to be seen: more seeds, planned from those of --seeds, as far as they take an hour", gt=0, lt=100
    )
    controls: bool = setting(
        True, "train the controls, too: original@0.5, original@0.25, duplicate and, where there are, more real images"
    )
    precision: Precision = reworded(ClassifierSettings, "precision", "arithmetic of the training")
    quick: bool = setting(False, "a quick impression: a probe at 64 px, 11 seeds")

    def __post_init__(self) -> None:
        check(self)
        _ = self.reading
        if self.replace_p != 1 and self.mode != "replace":
            raise ConfigError("replace-p does nothing without --mode replace")
        if self.corruption_constants != "imagenet-c" and self.corruptions == "none":
            raise ConfigError("corruption-constants does nothing without --corruptions 3 or all")
        if self.arch is not None and self.learners:
            raise ConfigError(f"give one of arch and learners, got arch {self.arch} and learners {self.learners}")
        self._check_held_out()
        check_weighted(self, self.validation_split)

    def adjusted_recipe(self) -> Recipe:
        """The recipe with this protocol's changes."""
        return adjust(super().adjusted_recipe(), schedule=self.schedule)

    def _check_held_out(self) -> None:
        """Held-out images come from one place."""
        if self.folds is not None:
            if self.held_out is not None or self.held_out_split is not None:
                raise ConfigError("folds hold each image out once: it takes no --held-out and no --held-out-split")
            if self.validation_split is not None:
                raise ConfigError("folds take the validation part from the other folds: they take no validation split")
        elif self.held_out is None and self.held_out_split is None:
            raise ConfigError(
                "--held-out is needed: images that nothing else has seen, such as --held-out DATA --held-out-split "
                "test; with none, --held-out-split rest (what --shots left out) or --folds 5"
            )

    @property
    def held_out_path(self) -> str:
        """The dataset of the held-out images: the one that is compared, unless another is named."""
        return self.held_out or self.data

    @property
    def needs_kin(self) -> bool:
        """Whether a classifier of the study chooses by images that are left out with their relatives."""
        return any(not learner_of(arch).sees_views for arch in self.archs)

    @property
    def archs(self) -> tuple[str, ...]:
        """The classifiers, the main one first."""
        return self.learners or ((self.arch,) if self.arch else ())

    @property
    def originals(self) -> DataSpec:
        """The original images that every arm starts from."""
        part = {
            "path": self.data, "split": self.split, "shots": self.shots, "fraction": self.fraction,
            "imbalance": self.imbalance, "origin": "all", "subset_seed": self.subset_seed,
        }  # fmt: skip
        return build(DataSpec, {**part, **self.reading}, where="data")

    def of(self, arch: str) -> Protocol:
        """The protocol of one of its classifiers."""
        return replace(self, arch=arch, learners=())

    def with_learners(self, device: str) -> Protocol:
        """The protocol with its classifiers by their full names; the default ones where none is asked for."""
        words = {"probe": PROBE, "finetune": FINETUNE, "scratch": SMALL}
        asked = [words.get(name, name) for name in self.archs] or default_learners(device)
        if len(set(asked)) < len(asked):
            raise ConfigError(f"learners must differ, got {', '.join(asked)}")
        return replace(
            self, arch=asked[0] if len(asked) == 1 else None, learners=() if len(asked) == 1 else tuple(asked)
        )

    @property
    def severities(self) -> tuple[int, ...]:
        """Corruption severities measured."""
        return {"none": (), "3": (3,), "all": (1, 2, 3, 4, 5)}[self.corruptions]


def protocol_from(values: Facts) -> Protocol:
    """A protocol from plain values; `quick` changes the defaults, never what was asked for."""
    quick = dict(QUICK) if str(values.get("quick", False)).lower() == "true" else {}
    if values.get("epochs") is not None or values.get("budget") == "epochs":
        quick.pop("updates", None)
    if values.get("arch") is not None or values.get("learners"):
        quick = {name: value for name, value in quick.items() if name != "arch"}
    asked = build(Protocol, {**quick, **values}, where="compare")
    if asked.updates is not None and asked.epochs is not None:
        raise ConfigError("updates and epochs both say how long to train: give one of them")
    if asked.updates is not None and asked.budget == "epochs":
        raise ConfigError("budget epochs takes --epochs, not --updates")
    return asked


def continue_with(protocol: Protocol, stored: Facts | None, place: str) -> Protocol:
    """The protocol to go on with in a folder that holds a study: RunError where it differs in anything that counts."""
    if stored is None:
        return protocol
    if not protocol.archs:
        kept = stored.get("learners") or ()
        protocol = replace(protocol, arch=None if kept else stored["arch"], learners=tuple(kept))
    protocol, before = as_begun(protocol, stored)
    now = asdict(protocol)
    fixed: Values = {"precision": before["precision"]} if protocol.precision == "auto" else {}
    fixed["controls"] = bool(stored.get("controls", False))  # fixed when the study begins
    if protocol.updates is None and protocol.budget == "updates":
        fixed["updates"] = before["updates"]
    for key, value in {**now, **fixed}.items():
        was = tuple(before[key]) if isinstance(value, tuple) else before[key]
        if key not in FREE and value != was:
            raise RunError(f"{place} is a study with another protocol: {key} is {value}, was {was}")
    return replace(protocol, **fixed)
