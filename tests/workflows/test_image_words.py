"""What happened to an image, in words that name the class and the change."""

from __future__ import annotations

from imaginate.workflows.image_words import about_image

ROW = {
    "file_name": "images/rose/a-000.png",
    "class_name": "rose",
    "method": "gif-mae",
    "seed_image": "a.png",
    "kept": True,
}


def test_guidance_is_said_with_its_sign_and_class() -> None:
    up = about_image({**ROW, "score_kept_before": 0.5, "score_kept_after": 0.62})
    assert "the guide is surer that it is a rose: +0.12." in up
    down = about_image({**ROW, "score_kept_before": 0.5, "score_kept_after": 0.4, "info_seed_class": "tulip"})
    assert "the guide is less sure that it is a tulip: -0.10." in down


def test_each_kind_of_image_says_where_it_is_from_and_why_it_is_not_kept() -> None:
    assert "a new image of class rose, made by gif-mae of the seed image a.png.\nIt is kept." in about_image(dict(ROW))
    assert "of the class alone" in about_image({**ROW, "seed_image": None})
    assert "a real picture, found in the pool" in about_image({**ROW, "origin": "retrieved"})
    assert "is a seed image of class rose" in about_image({**ROW, "method": None})
    assert "It was rejected: blurred." in about_image({**ROW, "kept": False, "reason": "blurred"})
