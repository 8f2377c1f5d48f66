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


def test_the_legend_names_every_colour_and_counts_the_classes_that_share_them() -> None:
    """Long names take more lines; nothing of the legend is outside the picture."""
    for count in (1, 7, 10, 11, 100):
        names = [f"a class of number {i:03d}" for i in range(count)]
        points = [MapPoint(0.0, float(i), "new", name, f"{name}.png") for i, name in enumerate(names)]
        tree = ElementTree.fromstring(scatter(ImageMap(points=points, guide="nano", shares=(0.0, 0.0))))
        texts = list(tree.iter("{http://www.w3.org/2000/svg}text"))
        words = [one.text or "" for one in texts]
        assert len([w for w in words if w.startswith("a class of number")]) == min(count, 10)
        assert any(f"and {count - 10} more" in word for word in words) == (count > 10)
        assert max(float(one.attrib["y"]) for one in texts) < float(tree.attrib["height"])
