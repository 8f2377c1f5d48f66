"""A plan that is changed in what its seeds do not depend on."""

from pathlib import Path

import pytest
from PIL import Image

from imaginate.data import open_dataset
from imaginate.engine.plan import make_plan
from imaginate.engine.resolve import recipe_from


def test_the_fingerprint_of_the_seeds_stays_known_without_their_hashes(tmp_path: Path) -> None:
    for label, colour in (("cat", "red"), ("dog", "blue")):
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8), colour).save(tmp_path / label / "0.png")
    recipe = recipe_from({"data": {"path": str(tmp_path)}, "method": "duplicate"})
    plan = make_plan(recipe, open_dataset(tmp_path))
    fresh, bare = plan.but(run_id="a"), plan.but(hashes=())
    assert "data_fingerprint" not in vars(fresh)
    known = plan.data_fingerprint
    assert plan.but(run_id="b", hashes=()).data_fingerprint == known == fresh.data_fingerprint
    with pytest.raises(ValueError):  # what would be wrong is not made up
        _ = bare.data_fingerprint
