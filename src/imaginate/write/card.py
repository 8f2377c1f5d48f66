"""The dataset card: a README.md that says what the folder holds, how it was made and how to load it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from imaginate.markdown import cell
from imaginate.write.names import folders_in_label_order

_cell = partial(cell, bar="¦")
_CARD = """\
---
tags:
- imaginate
- dataset-expansion
task_categories:
- image-classification
configs:
- config_name: default
  data_files:
  - split: train
    path:
    - metadata.parquet
    - images/**
---

# {title}

{kept} new images and {originals} originals, {classes} classes, made by `{method}` ({copies}).
{order}
| | images |
| --- | --- |
| originals | {originals} |
| new, kept | {kept} of {wanted} wanted |
| rejected | {rejected} |
| seed images skipped | {skipped} |
{reasons}{sizes}{notes}
## Load

```python
torchvision.datasets.ImageFolder("images")
datasets.load_dataset("imagefolder", data_dir=".")   # with every column of metadata.parquet
imaginate.open_dataset(".")
```

Cut a validation part by `seed_image`, never at random: a copy of a validation image among the training images measures
memory. `label` is the number that these readers give to the class folder.{format}

`metadata.parquet` has one row for each image of `images/`; `rejected.parquet` has the same columns for those that were
made and not kept, with the reason. `recipe.yaml` repeats the run: `imaginate expand --recipe recipe.yaml OUT`.

## Classes

| class | seed images | new images wanted |
| --- | --- | --- |
{rows}

## Recipe

{fence}yaml
{recipe}{fence}

Made with imaginate {version}. The new images inherit the licence terms of the seed images, of the prior and of the pool
that they come from; check them before you pass the folder on.
"""

WEBP = " The images are WebP, which the folder readers of timm and Keras do not list."


ORDER = """
`label` counts the class folders by code point, capitals first, as torchvision, `datasets`, Keras and fastai do. timm
counts `2` before `10` and takes no notice of capitals: give it `class_map={name: label}` for the folders of `images/`,
or other numbers come out.
"""


def dataset_card(recipe: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card of a finished run, from its recipe and its `run.json`."""
    import yaml

    totals, classes = facts["totals"], facts["classes"]
    reasons = [f"| - {_cell(reason)} | {n} |" for reason, n in totals["rejected"].items()]
    amount = recipe["expand"]
    per_class = amount["per_class"]
    text_of_recipe = yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)
    text = _CARD.format(
        title=f"{recipe['method']['name']} expansion",
        kept=totals["kept"],
        originals=totals["originals"],
        classes=len(classes),
        method=recipe["method"]["name"],
        order=ORDER if _has_other_order([c["name"] for c in classes]) else "",
        copies=f"{per_class} per class" if per_class else f"{amount['copies']} copies of each",
        wanted=facts["wanted"],
        rejected=sum(totals["rejected"].values()),
        skipped=totals["skipped"],
        reasons="".join(f"{line}\n" for line in reasons),
        sizes=_sizes(totals) + _agreement(facts),
        notes="".join(f"\nThe diffusion {_cell(note)}.\n" for note in facts.get("notes", ())) + _data_notes(facts),
        rows="\n".join(f"| {_cell(c['name'])} | {c['seeds']} | {c['new']} |" for c in classes),
        recipe=text_of_recipe,
        fence=_fence(text_of_recipe),
        version=facts["imaginate"],
        format=WEBP if recipe["write"]["format"] == "webp" else "",
    )
    return text.replace("\n\n\n", "\n\n")


def _has_other_order(names: Sequence[str]) -> bool:
    """Whether the class folders are counted otherwise by a reader that sorts them as a person would."""
    folders = folders_in_label_order(names)
    return sorted(folders, key=_as_a_person) != folders


def _as_a_person(name: str) -> list[tuple[int, str]]:
    """Numbers by their value, letters whatever their case."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name.lower())]


def _fence(text: str) -> str:
    """A fence of code that the text does not hold."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)


def _sizes(totals: Mapping[str, Any]) -> str:
    """Rows of the table: the typical size of a seed image and of a new one, in pixels."""
    rows = (("a seed image, width x height", "seed_size"), ("a new image", "new_size"))
    return "".join(f"| {title} | {totals[k][0]} x {totals[k][1]} |\n" for title, k in rows if totals.get(k))


def _agreement(facts: Mapping[str, Any]) -> str:
    """A row of the table: the share of copies that still show their class, by the run's judge."""
    found = facts.get("agreement")
    if not found:
        return ""
    seeds = "" if found["seeds"] is None else f" (seeds: {found['seeds']:.0%})"
    return f"| copies that still show their class | {found['copies']:.0%}{seeds} |\n"


def _data_notes(facts: Mapping[str, Any]) -> str:
    """What the reader of the dataset noticed, as a list."""
    notes = facts.get("data_notes") or ()
    return (
        "\nNoticed while the dataset was read:\n\n" + "".join(f"- {_cell(str(note))}\n" for note in notes)
        if notes
        else ""
    )
