"""The pool role over a clip-retrieval backend (`clip-retrieval back`), for those who run one.

    --pool "http://host:1234/knn-service?index=laion5B&guide=clip:openai/clip-vit-large-patch14"

The query is our own embedding, so the guide must be the model that the backend's index was made with; the backend
does not say which that is, hence `guide=` in the address. Its own filters are switched off: ours count what they drop.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import urllib.error
import urllib.parse
from collections.abc import Sequence
from typing import Any

from imaginate.contract import Guide, Tensor
from imaginate.errors import ConfigError, ImageError, ModelError, RunError
from imaginate.files import content_hash
from imaginate.limits import parse_json
from imaginate.pool import refs
from imaginate.pool.fields import facts
from imaginate.records import Image, Scalar


class HttpPool:
    """A remote index. A request that hangs is given up after `timeout` seconds and tried `tries` times in all."""

    def __init__(self, address: str, *, timeout: float = 30.0, tries: int = 3, wait: float = 1.0) -> None:
        parts = urllib.parse.urlsplit(address)
        options = dict(urllib.parse.parse_qsl(parts.query))
        if not options.get("guide") or not options.get("index"):
            raise ConfigError(f"pool address must end in ?index=NAME&guide=GUIDE, got {address}")
        self.path = address
        self.guide = options["guide"]
        self.timeout = float(options.get("timeout", timeout))
        self.tries, self.wait = tries, wait
        path = parts.path if parts.path not in ("", "/") else "/knn-service"
        self._url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        self._index = options["index"]

    def check(self, guide: Guide) -> None:
        """Raise ModelError, naming both, unless `guide` is the one that the address names."""
        if guide.name != self.guide:
            raise ModelError(
                f"pool {self._url} holds embeddings of guide {self.guide}, the guide in use is {guide.name}: "
                "use the pool's guide"
            )

    def search(self, embeddings: Tensor, limit: int, *, exact: bool = False) -> list[list[dict[str, Scalar]]]:
        """(n, dim) unit-norm queries -> for each, up to `limit` rows, nearest first. Raises RunError when it hangs.

        `exact` has no meaning here: the backend searches as it was set up.
        """
        return [self._one(query, limit) for query in embeddings.detach().float().cpu().tolist()]

    def _one(self, query: list[float], limit: int) -> list[dict[str, Scalar]]:
        question = {
            "embedding_input": query,
            "modality": "image",
            "indice_name": self._index,
            "num_images": limit,
            "num_result_ids": limit,
            "deduplicate": False,
            "use_safety_model": False,
            "use_violence_detector": False,
        }
        return [_row(item) for item in self._ask(question)]

    def _ask(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        import urllib.request

        request = urllib.request.Request(
            self._url, json.dumps(question).encode(), {"Content-Type": "application/json", "User-Agent": "imaginate"}
        )
        problem = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.wait * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    return _listed(parse_json(answer.read()))
            except urllib.error.HTTPError as error:
                error.close()
                problem = f"answers {error.code} {error.reason}"
                if error.code < 500:
                    break
            except (OSError, ValueError) as error:
                cause = error.reason if isinstance(error, urllib.error.URLError) else error
                slow = isinstance(cause, TimeoutError)
                problem = f"no answer within {self.timeout:g} s" if slow else str(cause)
        raise RunError(f"pool {self._url}: {problem} ({attempt + 1} of {self.tries} tries)")

    def vectors(self, ids: Sequence[str]) -> Tensor | None:
        """None: the backend gives no embeddings, so whoever needs them embeds the images."""
        return None

    def sample(self, count: int) -> Tensor | None:
        """None: the backend gives no embeddings."""
        return None

    def closeness(self) -> float:
        """0: a backend gives no embeddings to tell from."""
        return 0.0

    def image(self, row: dict[str, Scalar]) -> Image:
        """(3, h, w) uint8, from the answer itself or downloaded. Raises ImageError."""
        from imaginate.data.decoding import decode_tensor
        from imaginate.data.digital_source import source_in

        data = self._bytes(row)
        row["digital_source"] = source_in(data)
        return decode_tensor(data)

    def _bytes(self, row: dict[str, Scalar]) -> bytes:
        if row.get("_image"):
            try:
                return base64.b64decode(str(row["_image"]))
            except binascii.Error:
                raise ImageError("damaged") from None
        if not row.get("url"):
            raise ImageError("no url")
        return refs.read(str(row["url"]), self.timeout, self.path)


def _listed(answer: object) -> list[dict[str, Any]]:
    if not isinstance(answer, list):
        raise ValueError("the answer is not a list of images")
    return [item for item in answer if isinstance(item, dict)]


def _row(item: dict[str, Any]) -> dict[str, Scalar]:
    known = facts(item)
    place = known.get("url") or item.get("image_path") or item.get("id")
    return {
        "signature": None,
        "width": None,
        "height": None,
        **known,
        "id": content_hash(str(place).encode()),
        "source": str(place),
        "similarity": round(float(item.get("similarity", 0.0)), 6),
        "_image": item.get("image"),
    }
