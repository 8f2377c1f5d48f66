"""Signed manifests (C2PA, "Content Credentials") in exported images, by the library of that standard.

A manifest says who vouches for how a picture came to be; the certificate and the key are the user's. A signature holds
the time, so that the same image signed twice has other bytes: runs stay as they are, exports are signed.
https://spec.c2pa.org · c2pa-python
"""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imaginate.data.digital_source import any_source_in
from imaginate.errors import ConfigError, RunError
from imaginate.files import first_line
from imaginate.runs import RunFolder
from imaginate.version import __version__
from imaginate.write.marks import IPTC, Mark, packet

KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
_QUIET = {"verify": {"verify_after_sign": True}, "builder": {"thumbnail": {"enabled": False}}}
_HASHES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What signs: files of a certificate chain and of its private key (PEM). `timestamp`: the address of an authority
    that says when; "" for none."""

    certificate: str
    key: str
    timestamp: str = ""


def check_credentials(certificate: str | None, key: str | None, timestamp: str | None) -> Credentials | None:
    """The credentials; None where neither file is named. ConfigError for half of them."""
    if not certificate and not key:
        if timestamp:
            raise ConfigError("c2pa_timestamp needs c2pa_cert and c2pa_key: it dates their signature")
        return None
    if not certificate or not key:
        missing, there = ("c2pa_key", "c2pa_cert") if certificate else ("c2pa_cert", "c2pa_key")
        raise ConfigError(f"{there} needs {missing}: a manifest is signed with a certificate and its private key (PEM)")
    return Credentials(certificate=certificate, key=key, timestamp=timestamp or "")


class Signer:
    """Signs images of one run. `signed` and `unsigned` count them."""

    def __init__(self, credentials: Credentials, run: RunFolder) -> None:
        if find_spec("c2pa") is None or find_spec("cryptography") is None:
            raise ConfigError("C2PA manifests need c2pa-python, which is not installed: pip install 'imaginate[c2pa]'")
        self._library: Any = importlib.import_module("c2pa")
        self._run = {"run": str(run.facts.get("id") or ""), "method": run.method}
        self.signed = self.unsigned = 0
        self._files = f"{credentials.certificate} and {credentials.key}"
        certificate, key = _pem(credentials.certificate), _pem(credentials.key)
        algorithm = _algorithm(credentials.key, key)
        info = self._library.C2paSignerInfo(algorithm, certificate, key, credentials.timestamp or None)
        try:
            signer = self._library.Signer.from_info(info)
            self._context: Any = self._library.Context.from_dict(_QUIET, signer)
        except self._library.C2paError as error:
            raise ConfigError(f"{self._files} cannot sign: {_words(error)}") from None
        self._try()

    def _try(self) -> None:
        """What the standard does not allow is said before any work."""
        try:
            self.sign(_smallest(), "smallest.png")
        except RunError as error:
            raise ConfigError(
                f"{self._files} cannot sign: {str(error).partition(': ')[2]} (C2PA asks for a certificate of an "
                "authority, not one signed by itself, for email or document signing, with its chain in the file)"
            ) from None
        self.signed = 0

    def sign(self, data: bytes, name: str) -> bytes:
        """The image with a manifest; as it is where its own file does not say how it came to be."""
        word, ending = any_source_in(data), name[name.rfind(".") :].lower()
        if not word or ending not in KINDS:
            self.unsigned += 1
            return data
        out = io.BytesIO()
        try:
            with self._library.Builder(self._manifest(word, name), self._context) as builder:
                builder.sign(KINDS[ending], io.BytesIO(data), out)
        except self._library.C2paError as error:
            raise RunError(f"{name} cannot be signed: {_words(error)}") from None
        self.signed += 1
        return out.getvalue()

    def words(self) -> str:
        """How many images have a manifest, and why others have none."""
        kept = f"; {self.unsigned} have none, as their files do not say how they came to be" if self.unsigned else ""
        return f"{self.signed} images have a signed C2PA manifest{kept}"

    def close(self) -> None:
        """Frees what the library holds."""
        self._context.close()

    def _manifest(self, word: str, name: str) -> dict[str, Any]:
        agent = {"name": "imaginate", "version": __version__}
        action = {"action": "c2pa.created", "digitalSourceType": IPTC + word, "softwareAgent": agent}
        return {
            "claim_generator_info": [agent],
            "title": name.rsplit("/", 1)[-1],
            "assertions": [
                {"label": "c2pa.actions", "data": {"actions": [action]}},
                {"label": "org.imaginate.run", "data": self._run},
            ],
        }


def _pem(path: str) -> bytes:
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if b"-----BEGIN" not in data:
        raise ConfigError(f"{path} is not PEM (text that begins with -----BEGIN): convert it with openssl")
    return data


def _algorithm(path: str, key: bytes) -> bytes:
    """The standard's word for the kind of key."""
    serialization: Any = importlib.import_module("cryptography.hazmat.primitives.serialization")
    kinds: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric")
    for name in ("ec", "rsa", "ed25519"):
        importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{name}")
    try:
        found = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        raise ConfigError(f"{path} is locked by a password: openssl pkey -in {path} -out KEY.pem unlocks it") from None
    except Exception as error:  # whatever the library makes of what is no key
        raise ConfigError(f"{path} holds no private key: {first_line(error)}") from None
    if isinstance(found, kinds.rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(found, kinds.ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(found, kinds.ec.EllipticCurvePrivateKey) and found.curve.name in _HASHES:
        return _HASHES[found.curve.name].encode()
    raise ConfigError(f"{path} is a key that C2PA does not sign with; it does with P-256, P-384, P-521, RSA, Ed25519")


def _words(error: Exception) -> str:
    return first_line(error).removeprefix("Signature: ")


def _smallest() -> bytes:
    """A picture to try credentials on."""
    import torch

    from imaginate.write.images import Writing, encode

    return encode(torch.zeros(3, 8, 8), Writing(), packet(Mark("", "", "algorithmicallyEnhanced")))
