"""What the page's server answers, and whom: only pages of its own, on this machine, that know the token."""

from __future__ import annotations

import io
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import resources
from threading import Lock
from typing import TYPE_CHECKING, Any, get_args

from imaginate import decisions
from imaginate.decisions import Decision
from imaginate.errors import ImaginateError
from imaginate.ownership import own
from imaginate.reviews.contents import Contents

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    Endpoint = Callable[[Request], Response | Awaitable[Response]]

SIDES = (96, 160, 256, 2048)  # pixels of a picture's longer side
MAP = "map.svg"
KINDS = {
    "index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml",
}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, kw_only=True)
class Review:
    """A run under review, by whom, and the secret part of the page's address. `map_svg`: a map of its images, for
    the page's button."""

    contents: Contents
    by: str
    token: str
    map_svg: str = ""
    _one: Lock = field(default_factory=Lock, repr=False, compare=False)  # requests are answered side by side

    def decide(self, asked: Any) -> Decision:
        """Write down what somebody decided. ValueError for what is no decision on an image of this run."""
        values = asked if isinstance(asked, dict) else {}
        image, verdict, label = (values.get(key) for key in ("image", "verdict", "label"))
        word: decisions.Word | None = next((known for known in get_args(decisions.Word) if known == verdict), None)
        if word is None:
            raise ValueError("no such verdict")
        row = next((r for r in self.contents.rows if str(r["file_name"]).endswith(f"/{image}")), None)
        if row is None or not isinstance(image, str):
            raise ValueError("no such image")
        if word == "relabel" and (label not in self.contents.classes or row.get("soft_label") is not None):
            raise ValueError("no such class, or an image of mixed classes")
        one = Decision(
            image=image, verdict=word, by=self.by, at=decisions.now(), label=label if word == "relabel" else None
        )
        store = self.contents.run.store
        with self._one, own(store, "review", is_run=True):
            decisions.add(store, str(self.contents.run.facts.get("fingerprint", "")), [one])
        return one

    def log(self) -> list[Decision]:
        """All decisions so far, those of other pages too."""
        return decisions.read_log(self.contents.run.store)


def new_token() -> str:
    """The secret part of an address."""
    return secrets.token_urlsafe(24)


def make_app(review: Review, hosts: frozenset[str]) -> Starlette:
    """The application. `hosts`: what a browser on this machine may call it, with the port."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    def refusal(request: Request) -> str:
        """Why a request is not answered: another name for this machine, another page, or no token."""
        origin = request.headers.get("origin")
        if request.headers.get("host") not in hosts:
            return "another host"
        if origin is not None and origin.removeprefix("http://") not in hosts:
            return "another origin"
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "another site"
        known = request.path_params["token"].encode()
        return "" if secrets.compare_digest(known, review.token.encode()) else "no token"

    def guarded(answer: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            from starlette.concurrency import run_in_threadpool

            if reason := refusal(request):
                return PlainTextResponse(f"refused: {reason}", status_code=403, headers=HEADERS)
            try:
                given = await request.json() if request.method == "POST" else None
            except ValueError:
                return PlainTextResponse("no JSON", status_code=400, headers=HEADERS)
            request.state.given = given
            found: Any = await run_in_threadpool(answer, request)
            found.headers.update(HEADERS)
            response: Response = found
            return response

        return endpoint

    def page(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if name == MAP and review.map_svg:
            return Response(review.map_svg, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
        if name not in KINDS:
            return PlainTextResponse("nothing here", status_code=404)
        data = resources.files(__package__).joinpath("static", name).read_bytes()
        return Response(data, media_type=KINDS[name], headers={"Cache-Control": "no-store"})

    def rows(request: Request) -> Response:
        return JSONResponse({**review.contents.listing(), "by": review.by, "map": bool(review.map_svg)})

    def picture(request: Request) -> Response:
        number, asked = int(request.path_params["number"]), request.query_params.get("side", str(SIDES[1]))
        if not asked.isdecimal():
            return PlainTextResponse("side must be a number", status_code=400)
        side = int(asked)
        read = review.contents.seed if request.path_params["what"] == "seed" else review.contents.image
        data = read(number)
        small = None if data is None else thumbnail(data, min(SIDES, key=lambda known: abs(known - side)))
        if small is None:
            return PlainTextResponse("no picture", status_code=404)
        return Response(small, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})

    def log(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return PlainTextResponse("after must be a number", status_code=400)
        every = review.log()
        lines = [{"image": d.image, "verdict": d.verdict, "label": d.label, "by": d.by} for d in every[int(after) :]]
        return JSONResponse({"count": len(every), "decisions": lines})

    def decide(request: Request) -> Response:
        try:
            review.decide(request.state.given)
        except ValueError as error:
            return PlainTextResponse(str(error), status_code=400)
        except ImaginateError as error:
            return PlainTextResponse(str(error), status_code=409)
        return JSONResponse({"ok": True})

    return Starlette(
        routes=[
            Route("/{token}/", guarded(page)),
            Route("/{token}/rows", guarded(rows)),
            Route("/{token}/decisions", guarded(log)),
            Route("/{token}/decide", guarded(decide), methods=["POST"]),
            Route("/{token}/{what:str}/{number:int}", guarded(picture)),
            Route("/{token}/{name}", guarded(page)),
        ]
    )


def thumbnail(data: bytes, side: int) -> bytes | None:
    """A WebP of at most `side` pixels a side; None where the bytes are no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (side, side))
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80, method=0)
    return out.getvalue()
