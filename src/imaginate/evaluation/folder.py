"""study.yaml: the protocol, the arms and the fingerprints of their images, and what was fixed when they were first
seen. A study is continued only where nothing of that has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from imaginate import shapes
from imaginate.errors import RunError
from imaginate.evaluation.arms import Arm, parse_arm
from imaginate.evaluation.protocol import FORMAT, Protocol
from imaginate.evaluation.study_images import StudyImages
from imaginate.files import Folder, replace_file, short_hash
from imaginate.limits import parse_yaml
from imaginate.models.weights import Weights, backbone_weights, completed, difference, guide_weights
from imaginate.ownership import contents, is_begun
from imaginate.runs import Values

NAME = "study.yaml"


class StudyFile:
    """What an earlier call wrote into the folder, all empty in a new one. `times`: how often `duplicate` has each
    original, once that is fixed; `budgets`: the updates of each classifier, where the study has several; `pace`: the
    seconds of an update, where arms get equal cost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored = _stored(folder)
        self.protocol: Values | None = self.stored.get("protocol")
        self.times: int | None = self.stored.get("duplicate")
        self.budgets: dict[str, int] = dict(self.stored.get("budgets", {}))
        self.pace: dict[str, float] = dict(self.stored.get("seconds_per_update", {}))

    def with_earlier(self, arms: Sequence[Arm]) -> list[Arm]:
        """The arms that the study has already, in their order, and the new ones. An arm whose folder is gone is
        forgotten."""
        named = {arm.name: arm for arm in arms}
        earlier = {
            name: parse_arm(entry["spec"])
            for name, entry in self.stored.get("arms", {}).items()
            if name in named or (self.folder / "arms" / name).is_dir()
        }
        return list({**earlier, **named}.values())

    def write(self, protocol: Protocol, arms: Sequence[Arm], material: StudyImages) -> None:
        """Replace the file; RunError if images of this folder's study have changed since."""
        import yaml

        if protocol.short == "exclude" and self.stored.get("short", list(material.short)) != list(material.short):
            raise RunError(
                f"{self.folder} leaves out other classes than these arms would (--short exclude): a run that fell "
                "short of other classes needs a study of its own"
            )

        found = {
            "format": FORMAT,
            "protocol": asdict(protocol),
            "data": self._data(material),
            **({"weights": weights} if (weights := self.weights(protocol, arms)) else {}),
            **({} if self.times is None else {"duplicate": self.times}),
            **({"budgets": self.budgets} if self.budgets else {}),
            **({"seconds_per_update": self.pace} if self.pace else {}),
            **({"short": list(material.short)} if protocol.short == "exclude" else {}),
            "arms": self._arms(arms, material),
        }
        text = yaml.safe_dump(found, sort_keys=False)
        replace_file(self.folder / NAME, lambda partial: partial.write_text(text, encoding="utf-8"))

    def weights(self, protocol: Protocol, arms: Sequence[Arm]) -> dict[str, Weights]:
        """The weights of the classifiers' backbones and of the guide of clip-... arms, by their names. RunError where
        they are others than those that the study began with."""
        now = backbone_weights(protocol.archs)
        guide = guide_weights(protocol.clip) if any(arm.baseline for arm in arms) else None
        now |= {protocol.clip: guide} if guide else {}
        before: dict[str, Weights] = self.stored.get("weights", {})
        if changed := difference(before, now):
            raise RunError(f"{self.folder} is a study with other weights: {changed}; give a new study another --out")
        return {**now, **completed(before, now)}

    def _data(self, material: StudyImages) -> dict[str, str]:
        stores = {
            "train": material.train, "held_out": material.held, "validation": material.validation, "real": material.real
        }  # fmt: skip
        now = {name: store.fingerprint for name, store in stores.items() if store is not None}
        now["held_out"] = short_hash([now["held_out"], material.held_rows.tolist()])
        before: dict[str, str] = self.stored.get("data", {})
        for name, mark in now.items():
            if before.get(name, mark) != mark:
                raise RunError(
                    f"{self.folder} is a study of other images: the {name.replace('_', '-')} images have changed since"
                )
        return {**before, **now}

    def _arms(self, arms: Sequence[Arm], material: StudyImages) -> dict[str, dict[str, str]]:
        before: dict[str, dict[str, str]] = self.stored.get("arms", {})
        entries = {}
        for arm in arms:
            images = material.runs[arm.path].store.fingerprint if arm.path else ""
            own = [arm.kind, arm.ratio, arm.number, images]
            mark = short_hash(own if arm.share is None else [*own, arm.share])
            if arm.name in before and before[arm.name]["fingerprint"] != mark:
                raise RunError(
                    f"arm {arm.name!r} of {self.folder} was another one ({before[arm.name]['spec']}), or its images "
                    "have changed; give it another name with --arm NAME=SPEC"
                )
            entries[arm.name] = {"spec": arm.spec, "fingerprint": mark}
        return entries


def _is_new(folder: Path) -> bool:
    """Whether there are at most decoded images."""
    return contents(Folder(folder)) in ([], ["cache"])


def _stored(folder: Path) -> Values:
    """What study.yaml says; RunError for a folder that holds something else."""
    path = folder / NAME
    if not path.exists():
        if folder.exists() and not (folder.is_dir() and (is_begun(folder, "compare") or _is_new(folder))):
            raise RunError(f"{folder} exists and is not a study; choose another --out")
        return {}
    try:
        stored = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise RunError(f"{path} is not a study of this version ({FORMAT})")
    wrong = shapes.misfit(stored, shapes.STUDY)
    if not wrong and stored.get("duplicate") is not None and stored["duplicate"] < 1:
        wrong = f"duplicate must be at least 1, got {stored['duplicate']}"
    if wrong:
        raise RunError(f"{path} is damaged: {wrong}")
    return stored
