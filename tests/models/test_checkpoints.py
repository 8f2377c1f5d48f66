"""The one reader of checkpoints: where they are, in which precision they compute, and how it stays quiet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from imaginate import nano
from imaginate.errors import ConfigError, ModelError
from imaginate.models.checkpoints import locate, precision, quiet, read


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float16), ((8, 0), torch.bfloat16)])
def test_one_rule_of_precision(
    capability: tuple[int, int], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    assert precision(None, "cuda:1") == expected
    assert precision(None, "cpu") == precision(None, "mps") == torch.float32
    assert precision("bfloat16", "cpu") == precision(torch.bfloat16, "cuda") == torch.bfloat16
    with pytest.raises(ConfigError, match="dtype must be one of"):
        precision("half", "cpu")


def test_a_checkpoint_is_the_bundled_one_a_folder_or_a_hub_id(tmp_path: Path) -> None:
    assert locate("nano", "clip") == str(nano.path("clip"))
    assert locate(str(tmp_path), "clip") == str(tmp_path)
    assert locate("somebody/some-model", "clip") == "somebody/some-model"
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(ModelError, match="is a file; a checkpoint is a folder"):
        locate(str(file), "clip")
    for nowhere in ("./nowhere", "/no/where", "a/b/c"):
        with pytest.raises(ModelError, match=f"no such checkpoint folder: {nowhere}"):
            locate(nowhere, "clip")


def test_what_goes_wrong_is_one_line_and_the_libraries_are_as_before(tmp_path: Path) -> None:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]

    def fail() -> None:
        raise OSError("first line\nsecond line")

    with pytest.raises(ModelError, match=r"cannot load a thing from .*: first line$"):
        read(fail, str(tmp_path), "a thing")
    with pytest.raises(ModelError, match=r"cannot fetch 'some/id' from the model hub; .* \(first line\)$"):
        read(fail, "some/id", "a thing")
    with quiet():
        assert not any(library.is_progress_bar_enabled() for library in libraries)
    assert [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries] == before


def test_one_checkpoint_is_loaded_at_a_time() -> None:
    """Loaders of transformers set torch's default type while they run: two at once leave it at half precision."""
    inside, most = [0], [0]

    def load() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: read(load, "nano", "a network"), range(4)))
    assert most == [1]
