"""The protocol of a study: everything that must be the same for every arm, so that only the images differ.

Equal updates by default (the papers gave the larger sets more training), a validation part of the original images for
every choice, the held-out images for nothing but the last measurement.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from imaginate.errors import ConfigError, RunError
from imaginate.runs import Facts, Values
from imaginate.settings import build, check, reworded, setting
from imaginate.training.augment import Policy
from imaginate.training.plan import Precision
from imaginate.training.recipes import Recipe, Schedule, adjust
from imaginate.training.settings import ClassifierSettings, as_begun

FORMAT = "imaginate-study/1"
# What may change on a finished study without training anything again: settings of the analysis, and where the images
# are (that they are the same images is checked by their fingerprints).
FREE = ("seeds", "level", "bootstrap", "reference", "allow_leak", "data", "held_out", "real")
QUICK: Values = {
    "arch": "small",
    "image_size": 32,
    "recipe": "default",
    "seeds": 2,
    "updates": 150,
    "batch": 64,
}


@dataclass(frozen=True, kw_only=True)
class Protocol(ClassifierSettings):
    """What is trained on what, measured how. Its fields are the flags of `imaginate compare`."""

    data: str = setting(help="dataset whose training images every arm starts from")
    split: str | None = reworded(ClassifierSettings, "split", "split of the original training images")
    shots: int | None = setting(None, "original training images a class", ge=1)
    fraction: float | None = setting(None, "share of the original training images", gt=0, le=1)
    subset_seed: int = setting(0, "another seed picks other images for shots and fraction", ge=0)
    held_out: str = setting(help="dataset of the held-out images, used once, at the end")
    validation_split: str | None = setting(None, "a split of the dataset for model selection, in place of a share")
    real: str | None = setting(
        None, "dataset of more real images for real:N (default: what shots or fraction left out)"
    )
    real_split: str | None = setting(None, "split of the dataset of more real images")
    seeds: int = setting(3, "classifiers an arm, each with its own validation part, weights and order", ge=1)
    resamples: int = setting(1, "subsets of the new images, of the original set's size, a seed; RET has 5", ge=1)
    budget: Literal["updates", "epochs"] = setting("updates", "what is equal across arms; epochs repeats the papers")
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
    corruption_images: int = setting(1000, "held-out images that are corrupted, by class", ge=1)
    clip: str = setting("nano", "guide of the clip-... arms")
    reference: str = setting("original", "arm that the others are compared with")
    level: float = setting(0.95, "coverage of the intervals", gt=0, lt=1)
    bootstrap: int = setting(2000, "bootstrap draws", ge=100)
    precision: Precision = reworded(ClassifierSettings, "precision", "arithmetic of the training")
    quick: bool = setting(False, "a quick impression: small classifier, 32 px, 2 seeds, 150 updates")

    def __post_init__(self) -> None:
        check(self)
        if self.replace_p != 1 and self.mode != "replace":
            raise ConfigError("replace-p does nothing without --mode replace")

    def adjusted_recipe(self) -> Recipe:
        """The recipe with this protocol's changes."""
        return adjust(super().adjusted_recipe(), schedule=self.schedule)

    @property
    def severities(self) -> tuple[int, ...]:
        """Corruption severities measured."""
        return {"none": (), "3": (3,), "all": (1, 2, 3, 4, 5)}[self.corruptions]


def protocol_from(values: Facts) -> Protocol:
    """A protocol from plain values; `quick` changes the defaults, never what was asked for."""
    quick = dict(QUICK) if str(values.get("quick", False)).lower() == "true" else {}
    if values.get("epochs") is not None or values.get("budget") == "epochs":
        quick.pop("updates", None)
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
    protocol, before = as_begun(protocol, stored)
    now = asdict(protocol)
    kept: Values = {"precision": before["precision"]} if protocol.precision == "auto" else {}
    if protocol.updates is None and protocol.budget == "updates":
        kept["updates"] = before["updates"]
    for key, value in {**now, **kept}.items():
        if key not in FREE and value != before[key]:
            raise RunError(f"{place} is a study with another protocol: {key} is {value}, was {before[key]}")
    return replace(protocol, **kept)
