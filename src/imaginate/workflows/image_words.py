"""One image of a run in words for people who do not know the scores: where it comes from, what guidance changed."""

from __future__ import annotations

from collections.abc import Mapping

from imaginate.runs import Row

# What a pair of scores, before and after guidance, says when it rises, and when it falls.
_PAIRS: Mapping[str, tuple[str, str]] = {
    "kept": ("the guide is surer that it is a {class}", "the guide is less sure that it is a {class}"),
    "entropy_gain": (
        "the guide hesitates more between classes, so that the image tells a classifier more",
        "the guide hesitates less between classes, so that the image tells a classifier less",
    ),
    "diversity": ("it differs more from the other copies of its seed", "it differs less from the other copies"),
}
# What a single score says, high or low.
_SINGLE: Mapping[str, str] = {
    "similarity": "likeness to what was searched for: {value:.2f} (1 is the same)",
    "influence": "what it is expected to add to a classifier: {value:+.3f} (more is better)",
    "quality": "sharpness: {value:.3f}",
    "aesthetic": "how much people would like it, guessed: {value:.1f} of 10",
    "entropy_gain": "how much more than on the seed the guide hesitates: {value:+.2f}",
}


def about_image(row: Row) -> str:
    """A few sentences, one a line."""
    lines = [_origin(row)]
    lines.append("It is kept." if row.get("kept", True) else f"It was rejected: {row.get('reason') or 'not selected'}.")
    scores = {name[6:]: float(value) for name, value in row.items() if name.startswith("score_") and value is not None}
    seen_as = str(row.get("info_seed_class") or row["class_name"])
    for name, (more, fewer) in _PAIRS.items():
        before, after = scores.get(f"{name}_before"), scores.get(f"{name}_after")
        if before is not None and after is not None:
            change = after - before
            words = (more if change >= 0 else fewer).replace("{class}", seen_as)
            lines.append(f"By guidance, {words}: {change:+.2f}.")
    for name, text in _SINGLE.items():
        if name in scores:
            words = text.format(value=scores[name])
            lines.append(f"{words[0].upper()}{words[1:]}.")
    return "\n".join(lines)


def _origin(row: Row) -> str:
    name, class_name = str(row["file_name"]).rsplit("/", 1)[-1], row["class_name"]
    if row.get("method") is None:
        return f"{name} is a seed image of class {class_name}."
    if row.get("origin") == "retrieved":
        return f"{name} is a real picture, found in the pool for class {class_name}."
    source = f"of the seed image {row['seed_image']}" if row.get("seed_image") else "of the class alone, without a seed"
    return f"{name} is a new image of class {class_name}, made by {row['method']} {source}."
