"""Features of an image are computed once in a machine's life, and are the same with the cache and without it.

What a network says of an image depends in its last bits on how many images it sees at once: kernels work otherwise on a
few. From SAME images on it does not, nor on which images these are (on a CPU; tests/models hold it). So rows of smaller
batches are neither kept nor taken, and where fewer are missing, known ones fill the batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache as once
from importlib import metadata

import numpy as np
import torch
from torch import Tensor, nn

from imaginate.files import content_hash
from imaginate.machine_cache import cache

SAME = 16  # images in a batch from which on a row does not depend on the others
_NETWORKS: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()
_LIBRARIES = ("torch", "torchvision", "timm", "transformers", "open_clip_torch")


def known(
    fn: Callable[[Tensor], Tensor], images: Tensor, network: nn.Module, what: str, *, device: str, to: str | None = None
) -> Tensor:
    """`fn(images)`, (b, ...) -> (b, d) float32, each row looked up first. With gradients nothing is looked up.

    `network`: whose weights `fn` uses, on `device`; `what`: all else that it does, in words. `to`: where its rows are,
    where that is another device."""
    is_plain = images.dtype in (torch.float32, torch.uint8)
    if len(images) < SAME or not is_plain or torch.is_grad_enabled() or cache().folder is None:
        return fn(images)
    owner = f"{_network(network)} {what} {images.dtype} {_where(device)}"
    flat = images.contiguous().cpu()
    keys = [content_hash(f"{owner} {tuple(image.shape)}".encode(), image.numpy().tobytes()) for image in flat]
    rows = _read(keys)
    missing = [place for place, key in enumerate(keys) if key not in rows]
    if len({len(row) for row in rows.values()}) > 1:  # of a damaged file
        missing = list(range(len(keys)))
    if not missing:
        return torch.from_numpy(np.stack([rows[key] for key in keys])).to(to or device)
    others = [place for place in range(len(keys)) if keys[place] in rows]
    asked = sorted([*missing, *others[: max(0, SAME - len(missing))]])
    fresh = fn(images[asked] if len(asked) < len(keys) else images)
    if fresh.dtype != torch.float32:
        return fresh if len(asked) == len(keys) else fn(images)
    table = fresh.detach().cpu().numpy()
    cache().put({keys[place]: table[i].tobytes() for i, place in enumerate(asked) if keys[place] not in rows})
    if len(asked) == len(keys):
        return fresh
    rows.update((keys[place], table[i]) for i, place in enumerate(asked))
    if len({len(row) for row in rows.values()}) > 1:
        return fn(images)
    return torch.from_numpy(np.stack([rows[key] for key in keys])).to(to or device)


def _read(keys: list[str]) -> dict[str, np.ndarray]:
    """The rows that are known."""
    found = cache().get(keys)
    return {key: np.frombuffer(value, np.float32) for key, value in found.items() if value and len(value) % 4 == 0}


def _network(network: nn.Module) -> str:
    """A hash of all weights."""
    if network not in _NETWORKS:
        chunks = []
        for name, weight in network.state_dict().items():
            plain = weight.detach().cpu().contiguous()
            chunks += [f"{name}{weight.dtype}{tuple(weight.shape)}".encode(), plain.flatten().view(torch.uint8).numpy()]
        _NETWORKS[network] = content_hash(type(network).__qualname__.encode(), *map(bytes, chunks))
    return _NETWORKS[network]


@once
def _where(device: str) -> str:
    """Whatever else numbers depend on: the processor, and the versions of the libraries."""
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    processor = (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()
    )
    return " ".join([device, processor, *found])
