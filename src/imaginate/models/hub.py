"""The model hub: which revision of which repository, what is cached, and one line for what goes wrong there."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from imaginate.errors import some
from imaginate.settings import nearest

KNOWN = (  # ids that the docs name: a typo is compared with these, and with what is cached
    "CompVis/stable-diffusion-v1-4", "stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/sdxl-turbo",
    "stabilityai/stable-diffusion-xl-base-1.0", "stabilityai/stable-diffusion-3.5-medium",
    "black-forest-labs/FLUX.1-schnell", "black-forest-labs/FLUX.1-dev", "openai/clip-vit-base-patch32",
    "google/siglip2-base-patch16-224", "facebook/vit-mae-base", "facebook/vit-mae-large",
)  # fmt: skip
POINTER = b"version https://git-lfs"
WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt")


def split_revision(spec: str) -> tuple[str, str]:
    """`ID@revision` -> the id and the revision; "" where none is named, and for a path that exists."""
    if Path(spec).expanduser().exists() or spec.startswith((".", "/", "~")):
        return spec, ""
    name, _, revision = spec.partition("@")
    return name, revision


def is_local(spec: str) -> bool:
    """Whether a checkpoint is here already: the bundled one, or a folder."""
    return spec == "nano" or Path(spec).expanduser().exists()


def cached_ids() -> list[str]:
    """The repositories of which something is in the hub's cache."""
    try:
        folders = sorted(_cache().glob("models--*"))
    except OSError:
        return []
    return [folder.name.removeprefix("models--").replace("--", "/") for folder in folders]


def cached_commit(spec: str) -> str | None:
    """The commit of a hub id that the cache holds under its revision; None where it holds none."""
    name, revision = split_revision(spec)
    folder = _cache() / f"models--{name.replace('/', '--')}"
    if (folder / "snapshots" / (revision or "-")).is_dir():
        return revision
    ref = folder / "refs" / (revision or "main")
    return ref.read_text(encoding="utf-8").strip() if ref.is_file() else None


def snapshot(spec: str) -> Path | None:
    """The folder of the cache that holds a hub id at its revision."""
    commit = cached_commit(spec)
    name, _ = split_revision(spec)
    folder = _cache() / f"models--{name.replace('/', '--')}" / "snapshots" / (commit or "-")
    return folder if folder.is_dir() else None


def cached_bytes(name: str) -> dict[str, int]:
    """The files of a repository that are in the cache or on their way there: name of the content -> bytes so far."""
    found: dict[str, int] = {}
    for path in (_cache() / f"models--{name.replace('/', '--')}" / "blobs").glob("*"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:  # renamed since it was listed
            continue
        key = path.name.partition(".")[0]
        found[key] = max(size, found.get(key, 0))
    return found


def blob_sizes(name: str) -> dict[str, int]:
    """How many bytes the files of a repository have, by the name of their content; empty where the hub does not say."""
    errors: Any = importlib.import_module("huggingface_hub.errors")
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(name, files_metadata=True, timeout=10).siblings or []
    except (errors.HTTPError, errors.HFValidationError, OSError):
        return {}
    return {(file.lfs.sha256 if file.lfs else file.blob_id) or "": file.size or 0 for file in files}


def explain(error: BaseException, spec: str) -> str | None:
    """Why a hub id cannot be had, and what to do; None where the hub has nothing to do with it."""
    errors: Any = importlib.import_module("huggingface_hub.errors")
    name, revision = split_revision(spec)
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, errors.GatedRepoError):
            return (
                f"{name} is gated: accept its conditions on its page ({_endpoint()}/{name}), then log in here with "
                "`hf auth login` (or set HF_TOKEN)"
            )
        if isinstance(cause, errors.RevisionNotFoundError):
            return f"{name} has no revision {revision!r}: leave @{revision} out, or name one that its page lists"
        if isinstance(cause, errors.RepositoryNotFoundError):
            known = nearest(name, [*KNOWN, *cached_ids()])
            return f"the hub has no model {name!r}, or it is private (then log in with `hf auth login`){known}"
    status = [found for found in map(_status, chain) if found is not None]
    if any(found >= 500 for found in status):
        return f"the hub is down ({_endpoint()} answers {max(status)}): try again later, or give a local folder"
    if any(isinstance(cause, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled) for cause in chain):
        return _offline(name)
    if any(isinstance(cause, errors.HTTPError) for cause in chain):
        return f"the connection to the hub was cut while {name} came: the same command goes on where it stopped"
    if "safetensors" in str(error) and (files := files_of(spec)) and not _has_safetensors(files):
        return PICKLED
    return None


def damaged(folder: Path) -> str | None:
    """What is wrong with the files of a folder: a pointer of Git LFS, an empty file, pickles alone; None where that is
    not it."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in WEIGHTS and p.is_file())
    for file in files:
        if wrong := damaged_file(file):
            return wrong
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".txt", ".model") and p.is_file()):
        if is_pointer(file):
            return f"{file} is a pointer of Git LFS, not the file: run `git lfs pull` in that folder"
    if files and not _has_safetensors([file.name for file in files]):
        return PICKLED
    return None


def damaged_file(file: Path) -> str | None:
    """What is wrong with one file of weights: a pointer of Git LFS, empty, cut short; None where that is not it."""
    size = file.stat().st_size
    if is_pointer(file):
        return f"{file} is a pointer of Git LFS, not the weights: run `git lfs pull` in that folder"
    if size == 0:
        return f"{file} is empty: fetch it again"
    if file.suffix == ".safetensors" and (missing := _missing_bytes(file, size)):
        return f"{file} is cut short ({missing} bytes are missing): fetch it again"
    return None


def is_pointer(file: Path) -> bool:
    """Whether a file is what Git LFS puts in the place of a large one."""
    with file.open("rb") as opened:
        return opened.read(len(POINTER)) == POINTER


def _has_safetensors(files: Sequence[str]) -> bool:
    return any(name.endswith(".safetensors") for name in files)


PICKLED = (
    "it has only pickled weights, which are not read: name a revision that has safetensors (ID@refs/pr/N, on its page "
    "under Community), or load it once in its own library and write it to a folder with save_pretrained"
)


def files_of(spec: str) -> list[str]:
    """The files of a hub id; those in the cache where the hub is out of reach."""
    errors: Any = importlib.import_module("huggingface_hub.errors")
    from huggingface_hub import HfApi

    name, revision = split_revision(spec)
    try:
        return list(HfApi().list_repo_files(name, revision=revision or None))
    except (errors.HTTPError, errors.HFValidationError, OSError):
        folder = snapshot(spec)
        return [] if folder is None else [p.name for p in folder.rglob("*")]


def variant_of(files: Sequence[str]) -> str | None:
    """`fp16` for a pipeline all of whose weights are of that variant."""
    found = [name for name in files if name.endswith(".safetensors")]
    return "fp16" if found and all(".fp16." in name or ".fp16-" in name for name in found) else None


def _missing_bytes(file: Path, size: int) -> int:
    """How many bytes a file of safetensors lacks, by its own header."""
    import json

    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > size:
            return length + 8 - size
        try:
            header = json.loads(opened.read(length))
        except ValueError:
            return 0
    ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    return max(0, 8 + length + max(ends, default=0) - size)


def _offline(name: str) -> str:
    cached = cached_ids()
    there = f"cached are {some(cached)}" if cached else "nothing is cached"
    is_asked = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    why = "off line (HF_HUB_OFFLINE is set)" if is_asked else "out of reach"
    return f"the hub is {why} and {name} is not in its cache ({there}); fetch it where there is a network"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _status(error: BaseException) -> int | None:
    from huggingface_hub.errors import HfHubHTTPError

    return int(error.response.status_code) if isinstance(error, HfHubHTTPError) and error.response is not None else None


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)
