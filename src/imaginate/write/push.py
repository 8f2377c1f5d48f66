"""An export as a dataset of the Hugging Face hub, through the hub's own client."""

from __future__ import annotations

import importlib
import re
from typing import Any

from imaginate.errors import ConfigError, RunError
from imaginate.files import CARD, Folder, first_line
from imaginate.runs import RunFolder

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_HEAD = "---\ntags:\n- imaginate\n- dataset-expansion\n{licence}task_categories:\n- image-classification\n---\n"


def check_name(name: str) -> None:
    """ConfigError for what is no `ORG/NAME`, before anything is written."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"push must name ORG/NAME on the hub, got {name!r}")
    try:
        importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigError("--push needs huggingface_hub: pip install 'imaginate[hf]'") from None


def push(run: str, folder: str, name: str, *, private: bool) -> str:
    """Upload an export with the run's card as the dataset `name`; returns its address. RunError where it refuses."""
    client: Any = importlib.import_module("huggingface_hub")
    source, target = RunFolder(run), Folder(folder)
    if not target.local:
        raise ConfigError(f"{folder} is not on this machine: export to a local folder to push it")
    if not target.exists(CARD):
        target.put(CARD, _card(source).encode())
    api = client.HfApi()
    try:
        api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, commit_message="Upload by imaginate",
            ignore_patterns=[".*", "**/.*"],
        )  # fmt: skip
    except (client.errors.HfHubHTTPError, client.errors.LocalTokenNotFoundError, OSError, ValueError) as error:
        raise RunError(
            f"{name} was not pushed: {first_line(error)} (is it yours, and are you in: hf auth login?)"
        ) from None
    return f"{api.endpoint}/datasets/{name}"


def _card(run: RunFolder) -> str:
    """The run's card without the paths of its own folder in the head: the hub finds the files of an export itself."""
    text = run.store.get(CARD).decode(errors="replace") if run.store.exists(CARD) else "# Dataset\n"
    return _HEAD.format(licence="") + re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
