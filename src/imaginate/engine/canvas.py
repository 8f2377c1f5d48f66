"""What a method is shown of a seed image, and in what shape and colours its candidates come back.

A prior draws squares in colour. A method that starts from seed images and needs a prior is shown each seed as a square
(`ops/geometry.py`), and its candidates are cut back to the shape of the seed. Where all seeds are grey, candidates of
a prior or a pool are kept grey.
"""

from __future__ import annotations

import dataclasses

from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.ops.geometry import cut_back, to_square, window_of
from imaginate.records import Candidate, Request


class Canvas:
    """The geometry and the colours of one run."""

    def __init__(self, recipe: ResolvedRecipe, plan: Plan) -> None:
        self._how, self._is_square = recipe.expand.fit_image, recipe.draws_squares
        self._is_grey = plan.is_grey

    def show(self, request: Request) -> Request:
        """The request as the method gets it."""
        if not self._is_square or request.image is None:
            return request
        return dataclasses.replace(request, image=to_square(request.image, self._how))

    def take_back(self, candidate: Candidate, request: Request) -> Candidate:
        """A candidate in the shape and colours of the seed image of `request`."""
        image = candidate.image
        if image is None:
            return candidate
        if self._is_square and request.image is not None:
            height, width = request.image.shape[-2:]
            image = cut_back(image, window_of(height, width, self._how))
        if self._is_grey:
            from imaginate.ops.grey import to_grey  # PyTorch comes with it

            image = to_grey(image)
        return candidate if image is candidate.image else dataclasses.replace(candidate, image=image)
