"""Addresses that only this machine or its network reaches: rows of data name none, unless that is asked for.

A table from elsewhere that names `http://169.254.169.254/...` or `http://localhost:8080/...` would make this machine
ask its own services. The host that the user named as the place of the data is no row, and stays allowed.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import urllib.request
from functools import lru_cache
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from imaginate.errors import ImageError
from imaginate.settings import PRIVATE_FLAG, PRIVATE_SWITCH

PRIVATE = f"private address (allow with {PRIVATE_FLAG})"


def is_refused(url: str, named: str = "") -> bool:
    """Whether a row's URL leads into a private network. `named`: the URL of the data, as the user gave it."""
    if not url.lower().startswith(("http://", "https://")) or os.environ.get(PRIVATE_SWITCH) == "1":
        return False
    host = _host(url)
    return host is None or (host != _host(named) and is_private(host))


def _host(url: str) -> str | None:
    """The host of a URL, "" where there is none; None for a URL that is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def is_private(host: str) -> bool:
    """Whether a name or number stands for an address that is not of the public network; a name by all its addresses."""
    if not host or host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return _is_inner(socket.inet_ntoa(socket.inet_aton(host)))  # also 127.1, 0x7f000001 and 2130706433
    except (OSError, ValueError):
        pass
    try:
        return any(_is_inner(str(info[4][0])) for info in socket.getaddrinfo(host, None))
    except (OSError, ValueError):  # no such name: whoever reads it says so
        return False


def _is_inner(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return not (mapped or address).is_global or (mapped or address).is_multicast


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection unless it leads into a private network, or to another protocol than HTTP."""

    def __init__(self, named: str) -> None:
        self._named = named

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """ImageError where it is not followed."""
        if not newurl.lower().startswith(("http://", "https://")) or is_refused(newurl, self._named):
            raise ImageError(PRIVATE)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(named: str = "") -> urllib.request.OpenerDirector:
    """What opens a row's URL, redirections checked; it reads no local files and no FTP."""
    found = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(), _Redirects(named),
    ):  # fmt: skip
        found.add_handler(handler)
    return found
