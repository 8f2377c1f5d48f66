"""Which weights were used: the commit of a hub id, and a hash of the files, for what runs, fits, pools, studies and
classifiers note of themselves."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from imaginate.files import short_hash
from imaginate.models import hub

NETWORKS = ("timm", "torchvision")  # named networks: their libraries' versions stand in run.json
Weights = Mapping[str, str]


def weights_of(spec: str | None, family: str) -> Weights | None:
    """`id`, `commit` (of a hub id) and `hash` (of the files, where they are here); None for what has no files.

    `family`: of the prior, or "clip", which says what `nano` stands for.
    """
    if spec is None:
        return None
    if spec == "nano":
        from imaginate import nano as bundled

        return {"id": spec, "hash": _hash(bundled.path(bundled.name_for(family)))}
    name, _ = hub.split_revision(spec)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return {"id": spec, "hash": _hash(folder)}
    if folder.is_file():
        return {"id": spec, "hash": short_hash(_content(folder))}
    if "/" not in name or folder.exists():
        return None
    commit, there = _commit(spec), hub.snapshot(spec)
    known = {"commit": commit, "hash": None if there is None else _hash(there)}
    found = {"id": spec, **{kind: value for kind, value in known.items() if value}}
    return found if len(found) > 1 else None


def guide_weights(guide: str | None) -> Weights | None:
    """The weights behind a guide as it is named: `clip:ID`, `prototypes:FOLDER`, `nano`."""
    if guide is None:
        return None
    kind, _, model = guide.partition(":")
    if model.partition(":")[0] in NETWORKS:
        return None
    return weights_of("nano" if kind == "nano" else model or None, "clip")


def backbone_weights(archs: Sequence[str]) -> dict[str, Weights]:
    """The weights from which classifiers start, by the names of these (`probe:FOLDER`, `finetune:ID`); none for those
    that start from drawn weights, and for networks of a library."""
    found = {arch: guide_weights(arch) for arch in archs if arch.partition(":")[2]}
    return {arch: weights for arch, weights in found.items() if weights}


def adaptation_weights(spec: str | None) -> Weights | None:
    """The weights of an adaptation as it is named: a checkpoint of a fit, a folder or file from elsewhere, a hub id;
    of several LoRAs, a hash of what is known of each."""
    if spec is None:
        return None
    from imaginate.models.adaptations.folder import own_checkpoint
    from imaginate.models.adaptations.loading import several

    joined = several(spec)
    if joined is not None:
        each: list[tuple[float, Weights]] = [(scale, adaptation_weights(name) or {}) for name, scale in joined]
        return {"id": spec, "hash": short_hash([[scale, one.get("commit") or one.get("hash")] for scale, one in each])}
    own = own_checkpoint(spec)
    if own is not None:
        return {"id": spec, "hash": _hash(own)}
    name, revision = hub.split_revision(spec)
    front = "/".join(name.split("/")[:2]) if not Path(name).expanduser().exists() else name
    found = weights_of(f"{front}@{revision}" if revision else front, "")
    return None if found is None else {**found, "id": spec}


def completed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What was noted before, and what only the download has shown: the hash of a hub id's files."""
    return {
        role: {**now.get(role, {}), **was} if difference({role: was}, now) is None else dict(was)
        for role, was in before.items()
    }


def described(weights: Mapping[str, str]) -> str:
    """Weights in a few words, for a person: `commit 0123456789ab, hash ba9876543210`."""
    return ", ".join(f"{kind} {weights[kind][:12]}" for kind in ("commit", "hash") if kind in weights) or "unknown"


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str | None:
    """What was used and what would be, where these are other weights; None where they are the same, or not known.

    The same commit is the same weights, whichever of its files are in the cache.
    """
    for role in sorted(set(before or {}) & set(now or {})):
        was, found = (before or {})[role], (now or {})[role]
        kind = "commit" if was.get("commit") and found.get("commit") else "hash"
        if was.get(kind) and found.get(kind) and was[kind] != found[kind]:
            old = f"; {was['id'].partition('@')[0]}@{was['commit']} is the old one" if kind == "commit" else ""
            return f"{role} {was['id']} has other weights: {kind} {found[kind][:12]}, was {was[kind][:12]}{old}"
    return None


@cache
def _commit(spec: str) -> str | None:
    """The commit that a hub id stands for today; that of the cache where the hub is out of reach."""
    name, revision = hub.split_revision(spec)
    try:
        errors: Any = importlib.import_module("huggingface_hub.errors")
        from huggingface_hub import HfApi
    except ImportError:
        return None
    try:
        return HfApi().model_info(name, revision=revision or None, timeout=10).sha
    except (errors.HTTPError, errors.HFValidationError, OSError):
        return hub.cached_commit(spec)


def _hash(folder: Path) -> str:
    """Of the names and contents of all files of weights, and of those that an index names elsewhere."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in hub.WEIGHTS and p.is_file())
    found = [[str(p.relative_to(folder)), _content(p)] for p in files]
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        found += [[str(index.relative_to(folder)), _content(part)] for part in _elsewhere(index)]
    return short_hash(found)


def _elsewhere(index: Path) -> list[Path]:
    """The files in other folders that an index names; none where it cannot be read, which whoever loads it says."""
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
    parts = [index.parent / name for name in sorted({str(name) for name in named}) if "/" in name]
    return [part for part in parts if part.is_file()]


def _content(file: Path) -> str:
    """A file's own hash; the hub's cache has it in the name of what a link points to."""
    real, state = file.resolve(), file.stat()
    if file.is_symlink() and len(real.name) == 64:
        return real.name
    return _sha256(real, state.st_size, state.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    """Read once, as long as the file stays as it is."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
