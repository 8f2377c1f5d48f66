"""Redirections of reads by HTTP: none leads into a private network, or to another protocol.

fsspec reads `https://` by aiohttp, which follows every redirection that its server gives; what is asked before each of
them is here. The host that redirects may name another address of its own.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from imaginate.data.addresses import PRIVATE, is_refused
from imaginate.errors import ImageError

if TYPE_CHECKING:
    from aiohttp import ClientSession, TraceRequestRedirectParams


def redirects(url: str) -> dict[str, Any]:
    """Options of fsspec for a URL, with which redirections are checked; none for what is not read by HTTP."""
    if not _is_http(url):
        return {}
    try:
        return {"client_kwargs": {"trace_configs": _trace()}}
    except ImportError:  # fsspec says what is missing
        return {}


def failures(url: str) -> tuple[type[Exception], ...]:
    """What a read of a URL raises where it fails."""
    common = (OSError, ValueError, ImportError)
    if not _is_http(url):
        return common
    try:
        from aiohttp import ClientError
    except ImportError:
        return common
    return (*common, ClientError)


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


@cache
def _trace() -> tuple[Any, ...]:
    """The same each time: fsspec keeps one connection for the same options."""
    from aiohttp import TraceConfig

    trace = TraceConfig()
    trace.on_request_redirect.append(_check)
    return (trace,)


async def _check(session: ClientSession, context: SimpleNamespace, what: TraceRequestRedirectParams) -> None:
    """ImageError where a redirection is not followed."""
    here = str(what.response.url)
    there = urljoin(here, what.response.headers.get("Location") or what.response.headers.get("URI") or "")
    if not _is_http(there) or is_refused(there, named=here):
        raise ImageError(PRIVATE)
