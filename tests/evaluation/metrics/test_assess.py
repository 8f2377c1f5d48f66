"""A whole measurement on drawn images: leaks and copies that were planted are found, nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imaginate.cli import main
from imaginate.errors import ModelError
from imaginate.evaluation.measure import assess
from imaginate.evaluation.metrics.core.cost import run_cost
from imaginate.evaluation.metrics.core.features import Extractor, Features, build_extractor, extract
from imaginate.evaluation.metrics.core.measurement import Sets
from imaginate.evaluation.metrics.frechet import frechet_distance
from imaginate.evaluation.metrics.leaks import Leaks
from imaginate.records import LabelSpace, Sample


class Memory:
    """An image source that holds its bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> bytes:
        return self.data


def png(image: Tensor) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()).save(out, "PNG")
    return out.getvalue()


def pictures(n: int, seed: int, side: int = 32) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    small = torch.rand(n, 3, 6, 6, generator=rng)
    return list(torch.nn.functional.interpolate(small, size=(side, side), mode="bilinear"))


def samples(images: list[Tensor], name: str) -> list[Sample]:
    return [Sample(id=f"{name}{i}", label=i % 3, source=Memory(png(x))) for i, x in enumerate(images)]


def pooled(images: Tensor) -> Tensor:
    """(b, 3, h, w) -> (b, 48): a tiny stand-in for a network."""
    return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1) - 0.5


TINY = Extractor(name="tiny", embed=pooled)


def found(images: list[Tensor], name: str) -> Features:
    return extract(samples(images, name), TINY, batch=5)


def test_planted_leaks_and_twins_are_found_and_nothing_else() -> None:
    held, originals, new = pictures(20, 0), pictures(12, 1), pictures(18, 2)
    new[3] = held[7]
    new[5] = new[4]
    new[6] = originals[2]
    sets = Sets(originals=found(originals, "o"), new=found(new, "n"), held_out=found(held, "h"))
    result = assess(sets, TINY, 3)
    assert [(p["first"], p["second"]) for p in result["leaks"]["examples"]] == [("n3", "h7")]
    assert result["leaks"]["images"] == 1
    assert result["leaks"]["originals"] == 0
    assert result["duplicates"]["redundant"] == 1
    assert result["duplicates"]["copies"] == 1
    json.dumps(result, allow_nan=True)


def test_every_metric_beside_the_originals_and_in_its_range() -> None:
    sets = Sets(
        originals=found(pictures(12, 1), "o"), new=found(pictures(18, 2), "n"), held_out=found(pictures(20, 0), "h")
    )
    result = assess(sets, TINY, 3)
    values = {m["name"]: m for m in result["metrics"]}
    for name in ("precision", "recall", "coverage", "class_consistency"):
        assert 0 <= values[name]["value"] <= 1
    assert 1 <= values["vendi"]["value"] <= 18
    assert values["vendi"]["originals"] <= 12
    assert values["delta_diversity"]["value"] >= values["delta_diversity"]["originals"], "more points cover no less"
    assert result["features"] == {"name": "tiny", "dim": 48}
    assert any("biased upwards" in w for w in result["warnings"])


def test_too_few_images_are_said_not_guessed() -> None:
    sets = Sets(originals=found([], "o"), new=found(pictures(3, 2), "n"), held_out=found(pictures(20, 0), "h"))
    result = assess(sets, TINY, 3)
    assert {m["name"]: m["value"] for m in result["metrics"]}["frechet_distance"] is None
    assert any("distances need 6 images" in w for w in result["warnings"])
    assert any("class consistency needs the originals" in w for w in result["warnings"])


def test_extraction_keeps_order_over_sizes_and_names_what_it_cannot_read() -> None:
    images = [x for pair in zip(pictures(6, 0, 32), pictures(6, 1, 24), strict=True) for x in pair]
    given = samples(images, "x")
    given.insert(4, Sample(id="broken", label=0, source=Memory(b"no image")))
    counted: list[int] = []
    result = extract(given, TINY, batch=5, seen=counted.append)
    assert result.ids == [s.id for s in given if s.id != "broken"]
    assert [name for name, _ in result.skipped] == ["broken"]
    assert sum(counted) == len(given)
    alone = torch.cat([extract([s], TINY).vectors for s in given if s.id != "broken"])
    assert torch.allclose(result.vectors, alone)


def test_an_image_whose_features_are_not_finite_is_named() -> None:
    def broken(images: Tensor) -> Tensor:
        found = TINY.embed(images)
        found[images.mean((1, 2, 3)) > 0.9] = float("nan")
        return found

    given = samples([*pictures(6, 0), torch.ones(3, 32, 32)], "x")
    with pytest.raises(ModelError, match=r"tiny gives features that are not finite .* for 1 of 7 images, first: x6"):
        extract(given, Extractor(name="tiny", embed=broken), batch=4)


def test_the_distance_to_the_originals_stands_next_to_that_to_the_held_out_images() -> None:
    originals, new, held = (found(pictures(n, seed), str(seed)) for n, seed in ((12, 1), (18, 2), (20, 0)))
    rows = {m["name"]: m for m in assess(Sets(originals=originals, new=new, held_out=held), TINY, 3)["metrics"]}
    own = rows["frechet_distance_own"]
    assert own["value"] == pytest.approx(frechet_distance(originals.vectors, new.vectors))
    assert own["originals"] is None
    assert "GIF Table 7" in own["title"]
    assert rows["frechet_distance"]["value"] == pytest.approx(frechet_distance(held.vectors, new.vectors))


def test_cost_comes_from_the_run() -> None:
    facts = {"cost": {"seconds": 3600.0}, "totals": {"kept": 100}}
    money = run_cost(facts, 2.0)
    assert money
    assert (money["seconds_per_image"], money["money_per_image"]) == (36, 0.02)
    assert run_cost({}, 2.0) is None


def test_the_command_writes_what_the_report_reads(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    from imaginate import expand

    for split, seed in (("train", 0), ("test", 1)):
        for s in samples(pictures(12, seed, 40), "p"):
            file = tmp_path / "data" / split / f"class{s.label}" / f"{s.id}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(s.source.read())
    expand(str(tmp_path / "data"), str(tmp_path / "run"), method="flip-crop", copies=2, progress=False)
    monkeypatch.setattr("imaginate.evaluation.measure.build_extractor", lambda *a, **k: TINY)
    data, run = str(tmp_path / "data"), str(tmp_path / "run")
    assert main(["evaluate", run, "--against", data, "--quiet", "--hourly-price", "1", "--neighbours", "3"]) == 0
    assert "leaks: 0 new images look like one of 12 held-out images" in capsys.readouterr().out
    result = json.loads((tmp_path / "run/metrics.json").read_text())
    assert result["images"] == {"originals": 12, "new": 24, "held_out": 12, "unreadable": 0}
    assert result["cost"]["money_per_image"] > 0
    assert not any("measured on" in warning for warning in result["warnings"])
    for file in (tmp_path / "data" / "test" / "class2").iterdir():
        file.unlink()
    out = ["--out", str(tmp_path / "two.json")]
    assert main(["evaluate", run, "--against", data, "--quiet", "--neighbours", "3", *out]) == 0
    note = "held-out images are measured on 2 of 3 classes (1 of 3 classes have no held-out image: class2)"
    assert note in capsys.readouterr().out
    notes = {row["name"]: row["note"] for row in json.loads((tmp_path / "two.json").read_text())["metrics"]}
    assert "held-out images of 2 of 3 classes" in notes["frechet_distance"]
    assert notes["class_consistency"].endswith("of the held-out images, of 2 of 3 classes")
    assert "classes" not in notes["vendi"]
    assert main(["report", run]) == 0
    page = (tmp_path / "run/report.html").read_text()
    assert "Metrics of the images" in page
    assert "No new image looks like a held-out image" in page
    assert "out of date" not in page
    assert main(["refilter", run, "--filter", "quality:sharpness=0.12"]) == 0
    assert main(["report", run, "--format", "html,csv,markdown"]) == 0
    for name in ("report.html", "report.csv", "report.md"):
        text = (tmp_path / "run" / name).read_text()
        assert "The metrics are out of date: they are of 24 new images" in text, name
    assert "frechet_distance" not in (tmp_path / "run/report.csv").read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "is not a run folder"),
        (["nowhere", "--neighbours", "0"], "neighbours must be in"),
        (["nowhere", "--limit", "0"], "limit must be >= 1, got 0"),
    ],
)
def test_bad_input_is_one_line(args: list[str], message: str, capsys: Any) -> None:
    assert main(["evaluate", *args, "--against", "x", "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_inception_without_weights_says_where_they_are_to_be_had(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    labels = LabelSpace.of(["a", "b"])
    with pytest.raises(ModelError, match=r"no file .*/missing\.pth; fetch https://"):
        build_extractor(f"inception:{tmp_path}/missing.pth", labels)


@pytest.mark.integration
def test_inception_reads_plain_weights_and_refuses_a_pickle(tmp_path: Path, monkeypatch: Any) -> None:
    port = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    labels = LabelSpace.of(["a", "b"])
    (tmp_path / "evil.pth").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(ModelError, match="holds no plain weights"):
        build_extractor(f"inception:{tmp_path}/evil.pth", labels)
    with monkeypatch.context() as patch:
        patch.setattr(port.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        patch.setattr(port, "load_state_dict_from_url", lambda *a, **k: {})
        network = port.FeatureExtractorInceptionV3("inception", ["2048"])
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    images = torch.stack(pictures(2, 0, 40))
    features = build_extractor(f"inception:{tmp_path}/weights.pth", labels).embed(images)
    assert features.shape == (2, 2048)
    assert torch.allclose(features, network((images * 255).round().byte())[0])


def test_settings_are_checked() -> None:
    from imaginate.errors import ConfigError

    with pytest.raises(ConfigError, match=r"cosine must be in \[-1, 1\], got 2"):
        Leaks(cosine=2)
