"""Signed manifests: read back by the standard's own library from every format, and clear words where none can be."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaginate
from imaginate.errors import ConfigError
from imaginate.write import c2pa as signing
from imaginate.write.export import export
from worlds import folder

FORMS = ("webdataset", "parquet", "fiftyone", "label-studio", "ultralytics", "coco")
MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    pytest.importorskip("c2pa", reason="c2pa-python (extra c2pa) is not installed")
    from support.credentials import write_credentials

    cert, key = write_credentials(tmp_path_factory.mktemp("pem"))
    return {"c2pa_cert": cert, "c2pa_key": key}


def make_run(tmp_path: Path, form: Any = "png") -> str:
    data = folder(tmp_path / "data", ("ant", "bee"), each=1)
    run = imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, format=form, progress=False)
    return str(run.path)


def images_of(out: Path) -> list[bytes]:
    """Every image that an export holds."""
    found = [path.read_bytes() for path in sorted(out.rglob("*")) if path.suffix in (".png", ".jpg", ".webp")]
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            found += [tar.extractfile(m).read() for m in tar if m.name.endswith((".png", ".jpg", ".webp"))]  # type: ignore[union-attr]
    for path in out.glob("*.parquet"):
        found += [row["image"]["bytes"] for row in pq.read_table(path).to_pylist()]
    return found


def manifest_of(data: bytes) -> dict[str, Any] | None:
    """What the library's reader says of an image; None where there is no manifest."""
    import c2pa

    with Image.open(io.BytesIO(data)) as opened:
        kind = MIME[str(opened.format)]
        opened.load()
    try:
        with c2pa.Reader(kind, io.BytesIO(data)) as reader:
            assert reader.get_validation_state() == "Valid"
            found: dict[str, Any] = json.loads(reader.json())
            return found
    except c2pa.C2paError:
        return None


@pytest.mark.parametrize("form", FORMS)
def test_every_export_carries_the_manifest_of_its_new_images(
    tmp_path: Path, credentials: dict[str, str], form: str
) -> None:
    run = make_run(tmp_path, "webp" if form == "webdataset" else "jpeg" if form == "parquet" else "png")
    export(run, str(tmp_path / "out"), form, **credentials)  # type: ignore[arg-type]
    found = [manifest_of(data) for data in images_of(tmp_path / "out")]
    assert sum(one is None for one in found) == 2  # the seed images
    for one in found:
        if one is not None:
            own = one["manifests"][one["active_manifest"]]
            said = {assertion["label"]: assertion["data"] for assertion in own["assertions"]}
            (action,) = said["c2pa.actions.v2"]["actions"]
            assert action["action"] == "c2pa.created"
            assert action["digitalSourceType"].endswith("/algorithmicallyEnhanced")
            facts = json.loads((tmp_path / "run" / "run.json").read_text())
            assert said["org.imaginate.run"] == {"run": facts["id"], "method": "cutout"}
            assert own["signature_info"]["issuer"] == "A. Photographer"
    assert len(found) == 4


def test_every_kind_of_key_of_the_standard_signs(tmp_path: Path, credentials: dict[str, str]) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    from support.credentials import write_credentials

    run = make_run(tmp_path)
    for number, key in enumerate(
        (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate(),
         rsa.generate_private_key(65537, 2048))
    ):  # fmt: skip
        cert, path = write_credentials(tmp_path, key)
        out = tmp_path / f"out-{number}"
        export(run, str(out), "ultralytics", c2pa_cert=cert, c2pa_key=path)
        assert sum(manifest_of(data) is not None for data in images_of(out)) == 2


def test_what_cannot_sign_is_said_before_anything_is_written(
    tmp_path: Path, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    from support.credentials import write_credentials

    run, out = make_run(tmp_path), tmp_path / "out"
    (tmp_path / "other").mkdir()
    _, other_key = write_credentials(tmp_path / "other")
    (tmp_path / "selfsigned").mkdir()
    bad_cert, bad_key = write_credentials(tmp_path / "selfsigned", subject="authority")
    (tmp_path / "odd").mkdir()
    odd_cert, odd_key = write_credentials(tmp_path / "odd", ec.generate_private_key(ec.SECP256K1()))
    (tmp_path / "text.pem").write_text("hello")
    cert, key = credentials["c2pa_cert"], credentials["c2pa_key"]
    for given, words in (
        ({"c2pa_cert": cert}, "c2pa_cert needs c2pa_key"),
        ({"c2pa_key": key}, "c2pa_key needs c2pa_cert"),
        ({"c2pa_timestamp": "http://x.org"}, "needs c2pa_cert and c2pa_key"),
        ({"c2pa_cert": cert, "c2pa_key": str(tmp_path / "none.pem")}, "cannot read .*none.pem: No such file"),
        ({"c2pa_cert": str(tmp_path / "text.pem"), "c2pa_key": key}, "text.pem is not PEM"),
        ({"c2pa_cert": cert, "c2pa_key": cert}, "cert.pem holds no private key"),
        ({"c2pa_cert": cert, "c2pa_key": other_key}, "cannot sign: .*does not match"),
        ({"c2pa_cert": bad_cert, "c2pa_key": bad_key}, "cannot sign: .*certificate of an authority"),
        ({"c2pa_cert": odd_cert, "c2pa_key": odd_key}, "a key that C2PA does not sign with"),
    ):
        with pytest.raises(ConfigError, match=words):
            export(run, str(out), "parquet", **given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="csv names the images of the run"):
        export(run, str(out), "csv", **credentials)  # type: ignore[arg-type]
    monkeypatch.setattr(signing, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'imaginate\[c2pa\]'"):
        export(run, str(out), "parquet", **credentials)  # type: ignore[arg-type]
    assert not out.exists()
