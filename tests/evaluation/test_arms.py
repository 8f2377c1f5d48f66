from __future__ import annotations

import pytest

from imaginate.errors import ConfigError
from imaginate.evaluation.arms import parse_arm, parse_arms


@pytest.mark.parametrize(
    ("spec", "name", "kind", "path", "ratio", "number"),
    [
        ("original", "original", "original", None, None, None),
        ("duplicate:5", "duplicate-5", "duplicate", None, None, 5),
        ("run:out/flowers-gif/", "flowers-gif", "run", "out/flowers-gif", None, None),
        ("run:out/flowers-gif/@2x", "flowers-gif@2", "run", "out/flowers-gif", 2.0, None),
        ("run:a@b/c", "c", "run", "a@b/c", None, None),
        ("synthetic:gif@0.5", "synthetic-gif@0.5", "synthetic", "gif", 0.5, None),
        ("real:10", "real-10", "real", None, None, 10),
        ("mine=run:x", "mine", "run", "x", None, None),
        ("clip-finetune", "clip-finetune", "clip-finetune", None, None, None),
        ("clip-finetune:x", "clip-finetune-x", "clip-finetune", "x", None, None),
    ],
)
def test_an_arm_from_its_text(spec, name, kind, path, ratio, number) -> None:
    arm = parse_arm(spec)
    assert (arm.name, arm.kind, arm.path, arm.ratio, arm.number) == (name, kind, path, ratio, number)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["orignal"], "did you mean 'original'"),
        (["run:"], "needs a folder"),
        (["run:x@-1"], "must be above 0, got '-1'"),
        (["real"], "must be at least 1, got ''"),
        (["original:3"], "takes nothing after it"),
        (["run:a/x", "run:b/x"], "two arms are called 'x'"),
        ([], "at least one --arm"),
    ],
)
def test_a_bad_arm_is_refused_in_one_line(specs, message) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_arms(specs)
    assert "\n" not in str(caught.value)
