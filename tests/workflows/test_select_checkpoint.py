"""The choice of a checkpoint by accuracy: what its classifiers are trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imaginate import DataSpec, expand, open_dataset, registry
from imaginate.errors import ConfigError
from imaginate.evaluation.folder import FORMAT
from imaginate.workflows.select_checkpoint import CheckpointSelection, Classifier, check_selection, training_sets
from worlds import folder


@pytest.mark.parametrize("method", ["cutout", "mixup", "cutmix"])
def test_no_child_of_a_held_out_image_is_trained_on(tmp_path: Path, method: str) -> None:
    data, run = folder(tmp_path / "data", each=4), tmp_path / "run"
    expand(str(data), str(run), method=method, copies=2, originals="none", progress=False)
    held_out = {f"{name}/001.png" for name in ("ant", "bee", "cow")}
    train, validation, classes = training_sets(DataSpec(path=str(data)), run, held_out, tmp_path / "pixels", size=16)
    names = [[s.id for s in open_dataset(path).samples] for path in (data, run)]
    rows = {s.id: s for s in open_dataset(run).samples}
    trained = [names[part][row] for part, row in zip(train.part, train.row, strict=True)]
    partners = _partners(run)
    assert classes == 3
    assert {names[0][row] for row in validation.row} == held_out
    assert not held_out & set(trained)
    for name in set(trained) & set(rows):
        assert not held_out & {rows[name].meta["seed_image"], *partners[name]}
    assert len(set(trained) & set(rows)) >= 6


def _partners(run: Path) -> dict[str, set[str]]:
    import pyarrow.parquet as pq

    return {row["file_name"]: {row.get("info_partner")} for row in pq.read_table(run / "metadata.parquet").to_pylist()}


def test_the_classifier_that_chooses_is_the_studys_own(tmp_path: Path) -> None:
    protocol = {"arch": None, "learners": ["finetune:nano", "small"], "image_size": 48, "pretrained": False}
    (tmp_path / "study.yaml").write_text(json.dumps({"format": FORMAT, "protocol": protocol}))
    study = str(tmp_path)
    assert CheckpointSelection(study=study).classifier("cpu") == Classifier("finetune:nano", 48, False)
    assert CheckpointSelection(study=study, arch="small", size=32).classifier("cpu") == Classifier("small", 32, False)
    assert CheckpointSelection().classifier("cpu") == Classifier("probe:efficientnet-lite0", 112, False)
    assert CheckpointSelection().classifier("cuda") == Classifier("resnet50", 224, False)
    with pytest.raises(ConfigError, match="select-study must be the folder of a study"):
        CheckpointSelection(study=str(tmp_path / "none")).classifier("cpu")


@pytest.mark.parametrize(
    ("technique", "method", "why"),
    [
        ("textual-inversion", "mixup", "draws with no prior of that family"),
        ("textual-inversion", "gif-sd", "needs a guide too, which a fit does not have"),
        ("dreambooth", "da-fusion", "takes a fit of textual-inversion or pseudoword-dm alone"),
        ("ft-conditioning", "imagic", "takes a fit of imagic alone"),
    ],
)
def test_a_method_that_cannot_judge_a_fit_is_refused_before_it(technique: str, method: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"select-method {method} {why}; those that can judge a fit of {technique}: "):
        check_selection(technique, CheckpointSelection(method=method, arch="small"), 0.1, "cpu")
    for name in registry.names("techniques"):
        check_selection(name, CheckpointSelection(arch="small"), 0.1, "cpu")
    check_selection("textual-inversion", CheckpointSelection(method="da-fusion", arch="small"), 0.1, "cpu")
