"""Serve the page of a run on this machine alone, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

from imaginate.errors import ConfigError
from imaginate.reviews.app import Review, make_app

LOOPBACK = "127.0.0.1"


def serve(review: Review, port: int, announce: Callable[[str], None]) -> None:
    """Answer until Ctrl-C. `announce` gets the page's address once it is there. ConfigError for a port in use."""
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise ConfigError("review needs starlette and uvicorn: pip install 'imaginate[review]'") from None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigError(f"port {port} cannot be used: {error.strerror}; give another --port, or 0") from None
        number = door.getsockname()[1]
        hosts = frozenset(f"{name}:{number}" for name in (LOOPBACK, "localhost"))
        config = uvicorn.Config(make_app(review, hosts), log_level="error", lifespan="off", server_header=False)
        door.listen(128)
        announce(f"http://{LOOPBACK}:{number}/{review.token}/")
        uvicorn.Server(config).run(sockets=[door])
