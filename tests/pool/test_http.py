"""The clip-retrieval backend: asked as clip-retrieval is, slow and broken ones given up in time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch

from colour_guide import ColourGuide
from imaginate.errors import ConfigError, ImageError, ModelError, RunError
from imaginate.methods.core.neighbours import Neighbours, Rules, SearchPlan
from imaginate.pool.http import HttpPool
from worlds import picture, png


class Backend:
    """Answers like `clip-retrieval back`: `hang` seconds of silence, a status, or rows."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.hang, self.status, self.only_first = 0.0, 200, False
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                backend.asked.append(question)
                time.sleep(backend.hang)
                if backend.only_first:
                    backend.hang = 0.6
                rows = [
                    {"id": i, "similarity": 0.9 - i / 100, "caption": f"number {i}", "url": f"{backend.root}/{i}.png",
                     "NSFW": "UNLIKELY", "license": "?"}
                    for i in range(min(question["num_images"], 90))
                ]  # fmt: skip
                self.answer(json.dumps(rows).encode())

            def do_GET(self) -> None:
                number = int(self.path.strip("/").split(".")[0])
                self.answer(png(picture(number)), 404 if number == 2 else 200)

            def answer(self, body: bytes, status: int | None = None) -> None:
                try:
                    self.send_response(status or backend.status)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.server.shutdown()
    made.server.server_close()


def pool_of(backend: Backend, **options: Any) -> HttpPool:
    return HttpPool(f"{backend.root}/knn-service?index=small&guide=colour", wait=0.01, **options)


def test_asks_by_embedding_and_reads_images(backend: Backend) -> None:
    guide, pool = ColourGuide(), pool_of(backend)
    pool.check(guide)
    rows = pool.search(guide.embed_text(["red"]), 5)[0]
    assert [r["caption"] for r in rows] == [f"number {i}" for i in range(5)]
    assert (rows[0]["licence"], rows[0]["unsafe"]) == ("?", 0.0)
    asked = backend.asked[0]
    assert asked["indice_name"] == "small"
    assert len(asked["embedding_input"]) == guide.dim
    assert not asked["deduplicate"]
    assert pool.image(rows[1]).shape == (3, 24, 32)
    with pytest.raises(ImageError, match="source disappeared"):
        pool.image(rows[2])


def test_hanging_and_failing_backends_are_given_up(backend: Backend) -> None:
    guide, pool = ColourGuide(), pool_of(backend, timeout=0.2, tries=2)
    backend.hang = 0.6
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"no answer within 0\.2 s \(2 of 2 tries\)"):
        pool.search(guide.embed_text(["red"]), 5)
    assert time.monotonic() - begun < 2
    backend.hang, backend.status = 0.0, 500
    with pytest.raises(RunError, match="500"):
        pool.search(guide.embed_text(["red"]), 5)
    with pytest.raises(RunError, match="refused"):
        HttpPool("http://127.0.0.1:9/?index=a&guide=b", tries=1).search(torch.ones(1, 12), 5)


def test_addresses_and_guides_are_checked() -> None:
    with pytest.raises(ConfigError, match="index=NAME&guide=GUIDE"):
        HttpPool("http://host:1234/knn-service")
    with pytest.raises(ModelError, match=r"guide clip:big.*in use is colour"):
        HttpPool("http://host:1/?index=a&guide=clip:big").check(ColourGuide())


def test_partial_results_are_used_and_said(backend: Backend) -> None:
    """The backend answers once and then hangs: the first list is used, and its end says why it is short."""
    guide, pool = ColourGuide(), pool_of(backend, timeout=0.2, tries=1)
    backend.only_first = True
    queries = guide.embed_text(["red", "green", "blue"])
    found = Neighbours(pool, guide, 0, queries, (torch.zeros(0, 12), []), Rules(cosine=1.01), SearchPlan(wanted=10))
    reasons = [found.get(i).refused for i in range(15)]  # type: ignore[union-attr]
    assert reasons[2] == "source disappeared"
    assert reasons.count("") >= 10
    assert reasons[14] == "pool stopped answering"
    assert found.get(15) is None
