"""Classes of two sources, matched by their names: images that another tool made have its spelling of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from imaginate.data.dataset import Dataset
from imaginate.data.labelling import one_form
from imaginate.data.soft_labels import WHOLE, shares_in
from imaginate.errors import DataError, some
from imaginate.records import ClassInfo, LabelSpace, Sample, Skipped

_CODE = re.compile(r"^(?:n\d{8}|[a-z]?\d+)[\s._-]+(?=\S)", re.IGNORECASE)
SHOWN = 12  # names in a message


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Their label -> ours, by name; the names of theirs that no class of ours has, and of ours that none of theirs
    has."""

    labels: Mapping[int, int]
    unmatched: tuple[str, ...]
    missing: tuple[str, ...]


def match_classes(theirs: LabelSpace, ours: LabelSpace) -> Matched:
    """Match by the name as it is, else by what is left of name, title and synonyms without case, blanks, dashes and a
    code in front (`001.Black_footed_Albatross`, `n01440764_tench`), where that means one class of ours alone."""
    exact = {one_form(name): label for label, name in enumerate(ours.names)}
    plain: dict[str, set[int]] = {}
    for label, info in enumerate(ours):
        for form in _forms(info):
            plain.setdefault(form, set()).add(label)
    labels: dict[int, int] = {}
    for number, info in enumerate(theirs):
        own = exact.get(one_form(info.name))
        found = {own} if own is not None else set().union(*(plain.get(form, set()) for form in _forms(info)))
        if len(found) == 1:
            labels[number] = found.pop()
    return Matched(
        labels=labels,
        unmatched=tuple(name for number, name in enumerate(theirs.names) if number not in labels),
        missing=tuple(name for label, name in enumerate(ours.names) if label not in labels.values()),
    )


def matched(data: Dataset, ours: LabelSpace, what: str) -> tuple[Dataset, Matched]:
    """The dataset in our label space, soft labels too; images of classes that no name matches, or partly of one, are
    skipped. DataError, with a table of both sides' names, where nothing matches."""
    found = match_classes(data.labels, ours)
    if not any(sample.label in found.labels for sample in data.samples):
        raise DataError(
            f"no class of {what} has the name of a class of the dataset; there: {some(data.labels.names, SHOWN)}; "
            f"here: {some(ours.names, SHOWN)}; name its folders like these, or describe them in its classes.yaml "
            "(display)"
        )
    kept, left = list[Sample](), list[Skipped]()
    for sample in data.samples:
        if sample.label not in found.labels:
            left.append(Skipped(sample.id, "no class of that name", sample.split))
        elif sample.soft_label is None:
            kept.append(replace(sample, label=found.labels[sample.label]))
        elif abs(sum(shares := shares_in(sample.soft_label, found.labels, len(ours))) - 1) < WHOLE:
            kept.append(replace(sample, label=found.labels[sample.label], soft_label=shares))
        else:
            left.append(Skipped(sample.id, "partly of no class of that name", sample.split))
    return replace(data, labels=ours, samples=tuple(kept), skipped=(*data.skipped, *left)), found


def _forms(info: ClassInfo) -> set[str]:
    names = (info.name, info.title, info.wnid, *info.synonyms)
    return {form for name in names for form in (_plain(name), _plain(_CODE.sub("", name))) if form}


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in folded if char.isalnum())
