"""The bundled miniature CLIP as a guide: no download, for 64 px images, with the quality of a miniature."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from imaginate.contract import GuideSetup
from imaginate.models.guides.clip import ClipGuide


class NanoGuide(ClipGuide):
    """The CLIP guide on the bundled checkpoint."""

    takes: ClassVar[Literal["checkpoint", "nothing"]] = "nothing"

    def __init__(self, setup: GuideSetup) -> None:
        super().__init__(replace(setup, model="nano"))
