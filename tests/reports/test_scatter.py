"""The map: every image once in each picture, names as texts, and nothing that leads out of the page."""

from __future__ import annotations

from xml.etree import ElementTree

from imaginate.reports.scatter import ImageMap, MapPoint, scatter

HOSTILE = "</svg><script>alert(1)</script>"


def test_each_image_is_a_mark_in_both_pictures_and_hostile_names_are_texts() -> None:
    kinds = ("seed", "new", "rejected", "held-out")
    points = [MapPoint(i, -i, kinds[i % 4], HOSTILE if i % 2 else "rose", f"{HOSTILE}{i}") for i in range(40)]
    drawn = scatter(ImageMap(points=points, guide=HOSTILE, shares=(0.5, 0.25)))
    tree = ElementTree.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    marks = [one.text for one in tree.iter(f"{name}title")]
    assert len(marks) == 80
    assert {f"{p.name} ({p.class_name}, {p.origin})" for p in points} == set(marks)
    assert not list(tree.iter(f"{name}script"))
    assert any("75%" in (one.text or "") for one in tree.iter(f"{name}text"))


def test_one_image_and_a_hundred_classes_are_pictures_too() -> None:
    for count in (1, 100):
        points = [MapPoint(0.0, 0.0, "new", f"class {i}", f"{i}.png") for i in range(count)]
        ElementTree.fromstring(scatter(ImageMap(points=points, guide="nano", shares=(0.0, 0.0))))
