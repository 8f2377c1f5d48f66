"""The settings that say how a classifier is trained: `train` and `compare` share them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

from imaginate.data.relatives import NEAR, NONE
from imaginate.errors import ConfigError
from imaginate.runs import Facts, Values
from imaginate.settings import check, nearest, setting
from imaginate.training.augment import Policy
from imaginate.training.plan import Precision
from imaginate.training.recipes import RECIPES, Recipe, adjust

# Version 0.1.0 (rules 1) kept no groups together, gave a small class no validation image, and had another `small`.
RULES = 2
_FIRST: Values = {"rules": 1, "group_by": NONE}

S = TypeVar("S", bound="ClassifierSettings")


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """What a classifier is trained on and how, and how leaks are treated."""

    split: str | None = setting(None, "split of the training images")
    held_out_split: str | None = setting(None, "split of the held-out images, such as test")
    validation: float = setting(0.2, "share of the original images kept for model selection, by class", ge=0, lt=1)
    group_by: str = setting(
        NEAR,
        "images that stay on one side of the validation cut: near (near-duplicates), none, or near-duplicates and a "
        "metadata column or a pattern in the image's name (patients, plants, videos)",
    )
    arch: str = setting("resnet50", "classifier: small, or a timm name")
    pretrained: bool = setting(False, "start from published weights")
    image_size: int = setting(0, "side of the classifier's input; 0 = 32 for small, else 224", ge=0)
    recipe: str = setting("default", "training schedule: " + ", ".join(RECIPES))
    updates: int | None = setting(None, "updates (default: the recipe's epochs over the training images)", ge=1)
    epochs: int | None = setting(None, "epochs, in place of the recipe's", ge=1)
    batch: int | None = setting(None, "images an update, in place of the recipe's", ge=1)
    lr: float | None = setting(None, "peak learning rate, in place of the recipe's", gt=0)
    patience: int | None = setting(None, "epochs without improvement before stopping, in place of the recipe's", ge=1)
    online_aug: Policy = setting("light", "on-line augmentation")
    allow_leak: bool = setting(False, "go on although held-out images are among the training images")
    drop_leak: bool = setting(False, "leave out of the measurement what overlaps")
    precision: Precision = setting("auto", "arithmetic")

    rules: int = RULES  # no setting: by which rules an earlier version composed what is gone on with

    def __post_init__(self) -> None:
        check(self)

    @property
    def size(self) -> int:
        """Side of the classifier's input."""
        return self.image_size or (32 if self.arch == "small" else 224)

    def adjusted_recipe(self) -> Recipe:
        """The recipe with the changes that are asked for."""
        if self.recipe not in RECIPES:
            raise ConfigError(f"unknown recipe {self.recipe!r}{nearest(self.recipe, RECIPES)}")
        return adjust(RECIPES[self.recipe], epochs=self.epochs, batch=self.batch, lr=self.lr, patience=self.patience)


def as_begun(asked: S, stored: Facts) -> tuple[S, Values]:
    """The settings that are asked for, under the rules of the version that wrote `stored`; and the stored ones,
    complete: what that version did not know has the default, or what it did."""
    defaults = {f.name: f.default for f in fields(asked)}
    if "rules" in stored:
        return asked, {**defaults, **stored}
    early = {name: value for name, value in _FIRST.items() if getattr(asked, name) == defaults[name]}
    return replace(asked, **early), {**defaults, **_FIRST, **stored}
