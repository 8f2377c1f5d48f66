"""The one reader of a run folder: local or by url, whole or damaged."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imaginate import expand
from imaginate.errors import RunError
from imaginate.runs import KEPT, REJECTED, RUN, RunFolder
from worlds import folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """first/ made from data/, second/ made from first/."""
    root = tmp_path_factory.mktemp("chain")
    expand(str(folder(root / "data", each=2)), str(root / "first"), method="mixup", copies=1, progress=False)
    expand(str(root / "first"), str(root / "second"), method="cutout", copies=1, progress=False)
    return root


def test_recipe_facts_classes_and_rows(chain: Path) -> None:
    run = RunFolder(chain / "first")
    assert run.method == run.recipe["method"]["name"] == "mixup"
    assert run.recipe_text.startswith("# `imaginate expand")
    assert run.facts["finished"] is True
    assert run.labels is not None
    assert run.labels.names == ("ant", "bee", "cow")
    whole = run.table()
    assert whole.num_rows == len(run.rows()) == 12
    assert run.table(columns=("label", "no such column")).column_names == ["label"]
    chosen = run.table(columns=lambda name: name.startswith("info_"), needed=("label",)).column_names
    assert chosen == [name for name in whole.column_names if name == "label" or name.startswith("info_")]
    assert run.table(REJECTED).num_rows == 0
    assert run.finished_shards() == ["shards/000000.parquet"]


def test_the_chain_ends_where_a_run_is_gone_or_the_dataset_is(chain: Path, tmp_path: Path) -> None:
    second = RunFolder(chain / "second")
    assert [run.root for run in second.chain()] == [str(chain / "second"), str(chain / "first")]
    assert second.chain()[-1].source == str(chain / "data")
    alone = Path(shutil.copytree(chain / "second", tmp_path / "alone"))
    text = (alone / "recipe.yaml").read_text().replace(str(chain / "first"), str(tmp_path / "gone"))
    (alone / "recipe.yaml").write_text(text)
    assert [run.root for run in RunFolder(alone).chain()] == [str(alone)]
    (alone / "recipe.yaml").write_text(text.replace(str(tmp_path / "gone"), str(alone)))
    assert len(RunFolder(alone).chain()) == 1, "a run that names itself has no end otherwise"


def test_a_url_reads_as_a_local_folder_does(chain: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").put(str(chain / "first"), "/runs/first", recursive=True)
    remote, local = RunFolder("memory://runs/first"), RunFolder(chain / "first")
    assert remote.rows() == local.rows()
    assert (remote.recipe, remote.facts, remote.labels) == (local.recipe, local.facts, local.labels)
    assert [run.root for run in remote.chain()] == ["memory://runs/first"]
    with pytest.raises(RunError, match="memory://runs/none is not a run folder"):
        RunFolder("memory://runs/none").rows()


def _unfinished(run: Path) -> None:
    (run / KEPT).unlink()
    (run / RUN).write_text(json.dumps({**json.loads((run / RUN).read_text()), "finished": False}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f), r"run is not a run folder: it has no recipe\.yaml"),
        (lambda f: (f / KEPT).unlink(), r"was finished, but its table metadata\.parquet is gone: give the run's"),
        (_unfinished, "run is a run that is not finished: give its command again"),
        (lambda f: (f / KEPT).write_bytes(b"PAR1 torn"), r"metadata\.parquet cannot be read: "),
        (lambda f: None, r"metadata\.parquet is not a run's table: it has no column no_such"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    chain: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    run = Path(shutil.copytree(chain / "first", tmp_path / "run"))
    spoil(run)
    with pytest.raises(RunError, match=message) as caught:
        RunFolder(run).rows(needed=("no_such",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("recipe.yaml", "a: [", r"recipe\.yaml cannot be read: "),
        ("recipe.yaml", "- a", r"recipe\.yaml is damaged: it holds no settings"),
        ("run.json", "{", r"run\.json cannot be read: "),
        ("run.json", "[]", r"run\.json is damaged: it holds no JSON object"),
    ],
)
def test_damaged_facts_are_one_line(chain: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    run = Path(shutil.copytree(chain / "first", tmp_path / "run"))
    (run / name).write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        _ = RunFolder(run).recipe if name == "recipe.yaml" else RunFolder(run).facts
    assert "\n" not in str(caught.value)


def test_tables_are_read_by_the_thread_that_asks() -> None:
    """pyarrow's pools of threads, reading through a Python file as the process ends, may abort it after its work: those
    that decode, and since `pre_buffer` is its default those that read ahead."""
    needs = {
        "iter_batches": {"use_threads"},
        "read_row_group": {"use_threads"},
        "read_row_groups": {"use_threads"},
        "read_table": {"use_threads", "pre_buffer"},
        "ParquetFile": {"pre_buffer"},
    }
    found = []
    for path in sorted((Path(__file__).parents[1] / "src" / "imaginate").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            given = {k.arg for k in node.keywords} if isinstance(node, ast.Call) else set()
            if "training" not in path.parts and needs.get(name, set()) - given:
                found.append(f"{path.name}:{node.lineno}")
    assert found == []
