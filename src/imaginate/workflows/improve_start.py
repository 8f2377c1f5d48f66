"""With which classifier an improvement begins: that of a trained folder or of a study; and its guide."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

from imaginate.errors import ConfigError, some
from imaginate.evaluation.folder import NAME, StudyFile
from imaginate.files import Folder
from imaginate.records import LabelSpace
from imaginate.runs import Values, json_object
from imaginate.training import folder
from imaginate.training.classifier import Training
from imaginate.training.settings import FINETUNE, PROBE

_RESULTS = "results.json"
_SHORT = {"probe": PROBE, "finetune": FINETUNE}
_NOT_TAKEN = ("held_out", "held_out_split", "origin", "rules", "allow_leak", "drop_leak", "seed")


def learner_settings(model: str | os.PathLike[str]) -> Training:
    """How the classifier of a folder of `train`, or the main one of a study, is trained. ConfigError for any other."""
    place = Path(model)
    stored: Values | None = None
    if place.is_dir() and (place / folder.RECIPE).is_file() and folder.is_finished(place):
        stored = folder.result_of(place)["settings"]
    elif (place / NAME).is_file() and (study := StudyFile(place).protocol) is not None:
        stored = dict(study)
        names = [*(stored.get("learners") or ()), stored.get("arch")]
        stored["arch"] = next((name for name in names if name), None)
    if stored is None:
        raise ConfigError(
            f"{place} is neither a classifier (imaginate train --out) nor a study (imaginate compare --out)"
        )
    known = {f.name for f in fields(Training)} - set(_NOT_TAKEN)
    given = {name: value for name, value in stored.items() if name in known}
    given["arch"] = _SHORT.get(str(given.get("arch")), given.get("arch") or PROBE)
    if given.get("updates") is not None and given.get("epochs") is not None:
        given["epochs"] = None
    return Training(**given)


def check_classes(model: str | os.PathLike[str], labels: LabelSpace, data: str) -> None:
    """ConfigError where the classifier, or the study, is of other classes than the dataset."""
    place = Path(model)
    if folder.is_finished(place):
        names = list(folder.result_of(place)["classes"])
    elif (place / _RESULTS).is_file():  # of a study that is not finished nobody knows
        names = list(json_object(Folder(place), _RESULTS).get("data", {}).get("classes") or labels.names)
    else:
        return
    if set(names) != set(labels.names):
        raise ConfigError(
            f"{place} is of {len(names)} classes ({some(names)}), {data} has {len(labels)} ({some(labels.names)}): "
            "give the classifier of this dataset"
        )


def guide_for(asked: str | None, learner: Training, pool: str | None = None) -> str:
    """The guide that is asked for, that of the pool (no other can search it), or the probe of the classifier's own
    backbone."""
    if asked or pool is None:
        kind, _, backbone = (learner.arch or PROBE).partition(":")
        return asked or f"probe:{backbone if kind in _SHORT and backbone else PROBE.partition(':')[2]}"
    from imaginate.pool import open_pool

    return open_pool(pool).guide
