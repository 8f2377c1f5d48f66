"""Random access into compressed streams is exact."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaginate.data.unpacked import Inflated, unpacked
from imaginate.errors import ImageError

CONTENT = b"".join(zlib.crc32(b"%d" % n).to_bytes(4, "big") * (1 + n % 7) for n in range(20_000))


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("streams")
    half = len(CONTENT) // 2
    packed = {
        "gz": gzip.compress(CONTENT[:half]) + gzip.compress(CONTENT[half:]),  # two members are one stream
        "deflate": zlib.compressobj(6, wbits=-15).compress(b""),
        "bz2": bz2.compress(CONTENT),
        "xz": lzma.compress(CONTENT),
    }
    raw = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed["deflate"] = raw.compress(CONTENT) + raw.flush()
    for name, data in packed.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in packed}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(st.integers(0, len(CONTENT) + 100), st.integers(0, 5000)), min_size=1, max_size=8))
@pytest.mark.parametrize("packing", ["gz", "deflate"])
def test_random_access_equals_a_slice(streams: dict[str, Path], packing: str, spans: list[tuple[int, int]]) -> None:
    stream = Inflated(str(streams[packing]), packing, 0, spacing=5_000)
    for offset, size in spans:
        assert stream.read(offset, size) == CONTENT[offset : offset + size]


@pytest.mark.parametrize("packing", ["bz2", "xz", "gz", "deflate"])
def test_access_backwards(streams: dict[str, Path], packing: str) -> None:
    for offset in range(len(CONTENT) - 1000, 0, -40_000):
        assert unpacked(str(streams[packing]), packing, 0, offset, 1000) == CONTENT[offset : offset + 1000]  # type: ignore[arg-type]


def test_checkpoints_stay_few(streams: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.data.unpacked.MAX_POINTS", 4)
    monkeypatch.setattr("imaginate.data.unpacked.CHUNK", 1000)
    stream = Inflated(str(streams["gz"]), "gz", 0, spacing=1000)
    assert stream.read(0, len(CONTENT)) == CONTENT
    assert len(stream._points) <= 5
    assert stream.read(177_777, 99) == CONTENT[177_777:177_876]


def test_a_damaged_stream_is_a_reason(tmp_path: Path, streams: dict[str, Path]) -> None:
    data = bytearray(streams["gz"].read_bytes())
    data[5000:5100] = b"\xff" * 100
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ImageError, match=r"^damaged archive$"):
        unpacked(str(tmp_path / "bad"), "gz", 0, len(CONTENT) - 10, 10)
