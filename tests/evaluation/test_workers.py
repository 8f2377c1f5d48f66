"""Jobs spread over workers: their errors, their device, their share of the GPUs, and who is told of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaginate.errors import ConfigError
from imaginate.evaluation import workers as module
from imaginate.evaluation.job import Job
from imaginate.evaluation.workers import spread
from imaginate.records import LabelSpace
from imaginate.training.plan import TrainPlan
from imaginate.training.recipes import Recipe
from imaginate.training.training_set import join
from pretended_ray import PretendedRay


def job(folder: Path, seed: int, **plan: Any) -> Job:
    """Four grey images of two classes."""
    store = folder / "images.npy"
    if not store.exists():
        np.save(store, np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3))
    pool = join([(store, np.arange(4), np.array([0, 1, 0, 1]), None)], 2)
    values = {"arch": "small", "classes": 2, "size": 8, "recipe": Recipe(batch=2), "updates": 2, "epoch": 2, "seed": 0}
    return Job(
        arm="original", kind="original", seed=seed, resample=0, plan=TrainPlan(**{**values, **plan}), train=pool,
        validation=None, held_out=pool, folder=folder / f"seed-{seed}", images={}, labels=LabelSpace.of(("a", "b")),
    )  # fmt: skip


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> PretendedRay:
    made = PretendedRay(gpus=8)
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    return made


@pytest.mark.parametrize(
    ("device", "count", "inside", "share"),
    [("cuda:1", 5, "cuda", 1.0), ("cuda", 20, "cuda", 0.5), ("cpu", 5, "cpu", 0)],
)
def test_a_job_is_sent_to_the_one_gpu_that_its_worker_sees(
    ray: PretendedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, count: int, inside: str, share: int
) -> None:
    """On 8 GPUs: three workers at a time have one each, of 12 two share one; a job on the CPU takes none."""
    seen: list[str] = []
    told: list[Job] = []
    monkeypatch.setattr(module, "run_job", lambda given: seen.append(given.plan.device))
    jobs = [job(tmp_path, seed, device=device) for seed in range(count)]
    spread(jobs, 3 if count == 5 else 12, progress=False, finished=told.append)
    assert seen == [inside] * count
    assert [options["num_gpus"] for options in ray.asked] == [share]
    assert sorted(map(id, told)) == sorted(map(id, jobs)), "told of the caller's own jobs, once each"


def test_no_more_gpus_are_shared_out_than_there_are_jobs(
    ray: PretendedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_job", lambda given: None)
    spread([job(tmp_path, 0, device="cuda")], 16, progress=False)
    assert [options["num_gpus"] for options in ray.asked] == [1.0]


def test_the_first_error_is_raised_and_ends_the_others(
    ray: PretendedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where Ray is the caller's and goes on: a job left behind would write into a folder of the next call."""
    import threading

    ended = threading.Event()

    def run(given: Job) -> None:
        if given.seed == 1:
            raise ConfigError("copies must be in [1, inf), got 0")
        if given.seed == 2:
            ended.wait(60)

    monkeypatch.setattr(module, "run_job", run)
    told: list[Job] = []
    try:
        with pytest.raises(ConfigError, match=r"^copies must be in \[1, inf\), got 0$"):
            spread([job(tmp_path, seed) for seed in (2, 0, 1, 3)], 2, progress=False, finished=told.append)
    finally:
        ended.set()
    assert [one.seed for one in told] == [0]
    assert len(ray.cancelled) == 1


SPREAD = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_workers import job
from imaginate.errors import ImaginateError
from imaginate.evaluation.workers import spread
told = []
jobs = [job(Path("."), seed, **plan) for seed, plan in enumerate(json.loads(sys.argv[2]))]
try:
    spread(jobs, 2, progress=False, finished=lambda job: told.append([job.seed, (job.folder / "result.json").exists()]))
    print(json.dumps(["done", sorted(told)]))
except ImaginateError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def spread_apart(folder: Path, plans: list[dict[str, Any]], **environment: str) -> list[Any]:
    """What `spread` does in a process of its own, which stands in `folder` and names its files from there."""
    command = [sys.executable, "-c", SPREAD, str(Path(__file__).parent), json.dumps(plans)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONWARNINGS": "ignore",
        **environment,
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.integration
def test_a_setting_refused_in_a_worker_is_the_same_one_line(tmp_path: Path) -> None:
    kind, line = spread_apart(tmp_path, [{"arch": "resnet5000"}, {"arch": "resnet5000"}])
    assert kind == "ConfigError"
    assert line.startswith("unknown arch 'resnet5000'")
    assert "\n" not in line


@pytest.mark.integration
def test_a_bug_in_a_worker_is_one_line_too_and_keeps_its_traceback_as_the_cause(tmp_path: Path) -> None:
    kind, line = spread_apart(tmp_path, [{"size": -1, "classes": -3}])
    assert kind == "RunError"
    assert line.startswith("a worker failed: ")
    assert "\x1b" not in line
    assert "\n" not in line


@pytest.mark.integration
def test_jobs_are_done_and_told(tmp_path: Path) -> None:
    assert spread_apart(tmp_path, [{}, {"device": "cpu"}, {}]) == ["done", [[0, True], [1, True], [2, True]]]
