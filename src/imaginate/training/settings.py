"""The settings that say how a classifier is trained: `train` and `compare` share them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from imaginate.data.relatives import NEAR, NONE
from imaginate.data.spec import reading_of
from imaginate.errors import ConfigError
from imaginate.runs import Facts, Values
from imaginate.settings import check, nearest, setting
from imaginate.training.augment import Policy
from imaginate.training.learners import Learner, learner_of
from imaginate.training.plan import ClassWeights, HeadKind, Precision
from imaginate.training.recipes import RECIPES, Recipe, adjust

PROBE, FINETUNE, PAPERS = "probe:efficientnet-lite0", "finetune:efficientnet-lite0", "resnet50"
# Version 0.1.0 (rules 1) kept no groups together, gave a small class no validation image, and had another `small`.
RULES = 2
_FIRST: Values = {"rules": 1, "group_by": NONE}
_RENAMED = {"small": "small-v0"}

S = TypeVar("S", bound="ClassifierSettings")


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """What a classifier is trained on and how, and how leaks are treated."""

    split: str | None = setting(None, "split of the training images")
    held_out_split: str | None = setting(None, "split of the held-out images, such as test (default: all the others)")
    validation: float = setting(0.2, "share of the original images kept for model selection, by class", ge=0, lt=1)
    group_by: str = setting(
        NEAR,
        "images that stay on one side of the validation cut: near (near-duplicates), none, or near-duplicates and a "
        "column of the dataset's table or a pattern in the image's name (patients, plants, videos)",
    )
    read_as: str | None = setting(
        None,
        "how the images are read, where expand has settings for it: slices=every:5 range=0..4095 (layout, path_column, "
        "label_column, group_column, encoding, range, channels, page, slices, tiles, label_tag)",
    )
    arch: str | None = setting(
        None,
        "classifier: probe:BACKBONE, finetune:BACKBONE, or from scratch small or a timm name (default: on a CPU "
        f"{FINETUNE}, on a GPU {PAPERS})",
    )
    head: HeadKind = setting("ridge", "linear classifier of a probe")
    pretrained: bool = setting(False, "start a timm network from its published weights")
    image_size: int = setting(
        0, "side of the classifier's input; 0 = 112 for probe and finetune, 64 for small, else the network's own", ge=0
    )
    recipe: str = setting("default", "training schedule: " + ", ".join(RECIPES))
    updates: int | None = setting(None, "updates (default: the recipe's epochs over the training images)", ge=1)
    epochs: int | None = setting(None, "epochs, in place of the recipe's", ge=1)
    batch: int | None = setting(None, "images an update, in place of the recipe's", ge=1)
    lr: float | None = setting(None, "peak learning rate, in place of the recipe's", gt=0)
    patience: int | None = setting(None, "epochs without improvement before stopping, in place of the recipe's", ge=1)
    online_aug: Policy = setting("light", "on-line augmentation; a probe sees each image once, as it is")
    finish_on_originals: float = setting(
        0.0, "share of the updates, the last ones, that see original images alone", ge=0, lt=1
    )
    class_weights: ClassWeights = setting(
        "none",
        "in the loss every image counts alike, or (balanced) every class: for new images that came unevenly over the "
        "classes; the clip-... arms keep every image alike",
    )
    weight_new: str = setting("1", "weight of a new image in the loss, or auto: chosen on the validation part")
    allow_leak: bool = setting(False, "go on although held-out images are among the training images")
    drop_leak: bool = setting(False, "leave out of the measurement what overlaps")
    precision: Precision = setting("auto", "arithmetic")
    rules: int = RULES  # no setting: by which rules an earlier version composed what is gone on with

    def __post_init__(self) -> None:
        check(self)
        _ = self.weights_new, self.reading

    @property
    def reading(self) -> Mapping[str, str]:
        """How the images are read, by setting."""
        return reading_of(self.read_as)

    @property
    def learner(self) -> Learner:
        """How the classifier comes from images."""
        return learner_of(self.arch or FINETUNE, pretrained=self.pretrained)

    @property
    def size(self) -> int:
        """Side of the classifier's input."""
        return self.image_size or self.learner.size

    @property
    def weights_new(self) -> tuple[float, ...]:
        """The weights of a new image that are tried on the validation part; one where it is given."""
        if self.weight_new == "auto":
            return WEIGHTS
        try:
            value = float(self.weight_new)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise ConfigError(f"weight_new must be a number above 0, or auto, got {self.weight_new!r}")
        return (value,)

    def adjusted_recipe(self) -> Recipe:
        """The recipe with the changes that are asked for; the default one is the learner's own."""
        if self.recipe not in RECIPES:
            raise ConfigError(f"unknown recipe {self.recipe!r}{nearest(self.recipe, RECIPES)}")
        recipe = self.learner.recipe if self.recipe == "default" and self.rules == RULES else RECIPES[self.recipe]
        if self.epochs is not None:
            recipe = replace(recipe, least=0)
        return adjust(recipe, epochs=self.epochs, batch=self.batch, lr=self.lr, patience=self.patience)


WEIGHTS = (0.1, 0.3, 1.0)  # of a new image, tried by `auto`


def default_arch(device: str) -> str:
    """The classifier where none is asked for: on a CPU what it can train in minutes, on a GPU that of the papers."""
    return PAPERS if device.startswith("cuda") else FINETUNE


def default_learners(device: str) -> tuple[str, ...]:
    """The classifiers of a study where none is asked for, the main one first."""
    return (PAPERS,) if device.startswith("cuda") else (PROBE, FINETUNE)


def as_begun(asked: S, stored: Facts) -> tuple[S, Values]:
    """The settings that are asked for, under the rules of the version that wrote `stored`; and the stored ones,
    complete: what that version did not know has the default, or what it did."""
    defaults = {f.name: f.default for f in fields(asked)}
    if "rules" in stored:
        return asked, {**defaults, **stored}
    early = {name: value for name, value in _FIRST.items() if getattr(asked, name) == defaults[name]}
    arch = asked.arch and _RENAMED.get(asked.arch, asked.arch)
    return replace(asked, **early, arch=arch), {**defaults, **_FIRST, **stored, "arch": stored_arch(stored)}


def stored_arch(stored: Facts) -> str:
    """The architecture in stored settings, by its name of today."""
    return str(stored["arch"] if "rules" in stored else _RENAMED.get(stored["arch"], stored["arch"]))
