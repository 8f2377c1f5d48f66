"""What a row of data may name: no protocol that does more than read, no chain, no private address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from imaginate.data import open_dataset
from imaginate.data.addresses import PRIVATE, is_private
from imaginate.data.urls import fetch
from imaginate.errors import DataError, ImageError
from imaginate.pool import refs
from imaginate.settings import PRIVATE_SWITCH

INNER = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "10.1.2.3", "192.168.0.4", "172.16.3.3", "::1",
    "169.254.169.254", "0.0.0.0", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "100.64.0.1", "localhost", "a.localhost",
    "metadata.google.internal", "printer.local", "224.0.0.1", "",
]  # fmt: skip
CHAINS = [
    "reference://a::file:///x.json", "zip://a.png::http://h/a.zip", "simplecache::http://h/a.png", "memory://b.png",
    "github://o:r@m/a.png", "ssh://h/a.png", "ftp://h/a.png", "data:,x://", "local://etc/x", "dir://x", "jar://a::b",
    "filecache::file:///etc/passwd", "hdfs://h/a", "smb://h/a", "git://a", "tar://a::b", "arrow_hdfs://a", "FILE://etc/x",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_inner_hosts_are_known_in_all_their_spellings(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "1.1"])
def test_others_are_public(host: str) -> None:
    assert not is_private(host) or host == "1.1"  # 1.1 is 1.0.0.1, a public one


def table(folder: Path, rows: list[str]) -> Path:
    """A csv of one picture that is there and the given rows."""
    for k in range(2):
        Image.fromarray(np.full((8, 8, 3), 90 * k, np.uint8)).save(folder / f"{k}.png")
    lines = ["file_name,label", "0.png,a", "1.png,b", *(f"{row},a" for row in rows)]
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    return folder / "m.csv"


def reasons(data: object) -> dict[str, str]:
    """Why each row was left out."""
    return {skipped.id: skipped.reason for skipped in open_dataset(str(data)).skipped}


def test_no_row_names_a_chain_or_another_protocol(tmp_path: Path) -> None:
    found = reasons(table(tmp_path, [row.replace(",", "%2C") for row in CHAINS]))
    assert set(found.values()) == {"protocol not allowed", "outside the folder of the table"}
    assert len(found) == len(CHAINS)


def test_no_row_names_a_private_address_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"http://{f'[{host}]' if ':' in host else host}/a.png" for host in INNER]
    assert set(reasons(table(tmp_path, rows)).values()) == {PRIVATE}
    monkeypatch.setenv(PRIVATE_SWITCH, "1")
    assert reasons(table(tmp_path, rows)) == {}


def test_no_row_of_a_table_behind_a_url_names_a_local_file(tmp_path: Path) -> None:
    local = tmp_path / "secret.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(local)
    fsspec.filesystem("memory").pipe_file("/t/0.png", local.read_bytes())
    fsspec.filesystem("memory").pipe_file("/t/1.png", local.read_bytes())
    bad = [str(local), f"file://{local}", "../secret.png", "a/../../x.png"]
    text = "\n".join(["file_name,label", "0.png,a", "1.png,b", *(f"{row},a" for row in bad)])
    fsspec.filesystem("memory").pipe_file("/t/m.csv", text.encode())
    assert list(reasons("memory://t/m.csv")) == bad
    with pytest.raises(DataError, match="protocol not allowed"):
        open_dataset("simplecache::memory://t/m.csv")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """A redirection to itself, or a few bytes."""
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.2:1/secret")
        elif self.path == "/local":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
        elif self.path == "/on":
            self.send_response(302)
            self.send_header("Location", "/picture")
        elif self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
        else:
            self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"picture")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_downloads_follow_no_redirection_into_a_private_network(server: str) -> None:
    assert refs.download(f"{server}/a", 5, named=server) == b"picture"
    with pytest.raises(ImageError, match="private address"):
        refs.download(f"{server}/a", 5)
    with pytest.raises(ImageError, match="private address"):
        refs.download(f"{server}/away", 5, named=server)
    with pytest.raises(ImageError, match="download failed"):
        refs.download(f"{server}/local", 5, named=server)


def test_reads_by_fsspec_follow_no_redirection_into_a_private_network(server: str) -> None:
    pytest.importorskip("aiohttp", reason="https:// is read by aiohttp")
    assert fetch(f"{server}/on", 0, 7) == b"picture"
    for place in ("/away", "/local"):
        with pytest.raises(ImageError, match="private address"):
            fetch(f"{server}{place}", 0, 7)
    for place in ("/round", "/broken"):
        with pytest.raises(ImageError, match="unreadable"):
            fetch(f"{server}{place}", 0, 7)


@pytest.mark.parametrize("ref", ["file:reference://a::b", '{"kind": "zip", "path": "simplecache::http://h/a.zip"}'])
def test_a_reference_of_a_pool_names_no_chain(ref: str) -> None:
    with pytest.raises(ImageError, match="protocol not allowed"):
        refs.read(ref)
