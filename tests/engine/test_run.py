"""The contract of a run: same bytes whatever happens on the way, one clear line for everything else."""

from __future__ import annotations

import dataclasses
import errno
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import imaginate
from imaginate.contract import Context
from imaginate.data.digital_source import source_in
from imaginate.engine import ray_workers, shard, workers
from imaginate.engine.gather import gather
from imaginate.engine.shard import ShardWorker
from imaginate.errors import ConfigError, DataError, ImaginateError, RunError
from imaginate.files import KEPT, Folder
from imaginate.methods.flip_crop import FlipCrop
from imaginate.ownership import own
from imaginate.processes import LastingProcess, ProcessDied
from imaginate.records import Candidate, Request
from imaginate.runs import RunFolder
from imaginate.write import tables
from imaginate.write.images import Writing, encode
from imaginate.write.marks import Mark, packet
from pretended_ray import OutOfReachError, PretendedRay
from worlds import folder, picture, png

KNOBS: dict[str, Any] = {"method": "cutmix", "copies": 3, "shard": 6, "progress": False}


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a run. Of `run.json`, what does not tell the time."""
    files = {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    files.pop(".lock")
    facts = json.loads(files.pop("run.json"))
    timeless = {k: v for k, v in facts.items() if k not in ("sessions", "cost")}
    return {**files, "run.json": json.dumps(timeless).encode()}


def same(a: Path, b: Path) -> None:
    """All files equal, byte for byte."""
    left, right = contents(a), contents(b)
    assert left.keys() == right.keys()
    for name in left:
        assert left[name] == right[name], name


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    imaginate.expand(str(data), out, **KNOBS)
    return out


def test_a_run_is_complete_and_says_so(data: Path, whole: Path) -> None:
    table = tables.read(Folder(whole))
    assert table.num_rows == 12 + 36
    for name in table["file_name"].to_pylist():
        assert (whole / name).is_file()
    assert sum(1 for p in (whole / "images").rglob("*") if p.is_file()) == 48
    facts = json.loads((whole / "run.json").read_text())
    assert facts["finished"]
    assert facts["totals"]["kept"] == 36
    assert [c["name"] for c in facts["classes"]] == ["ant", "bee", "cow"]


def test_its_own_recipe_repeats_it(whole: Path, tmp_path: Path) -> None:
    import yaml

    recipe = yaml.safe_load((whole / "recipe.yaml").read_text())
    imaginate.expand(out=tmp_path / "again", recipe=recipe, progress=False)
    same(whole, tmp_path / "again")


def test_asking_again_changes_nothing(data: Path, whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*")}
    imaginate.expand(str(data), whole, **KNOBS)
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*")} == before


def test_a_lost_table_is_written_anew_unless_images_were_judged_again(data: Path, whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / KEPT).unlink()
    assert "its table metadata.parquet is gone: give the run's command again" in str(imaginate.inspect(run))
    imaginate.expand(str(data), run, **KNOBS)
    same(whole, run)
    imaginate.refilter(run, {"name": "quality", "sharpness": 0.05}, progress=False)
    (run / KEPT).unlink()
    assert "is gone: restore it" in str(imaginate.inspect(run))
    with pytest.raises(RunError, match="is gone: restore it"):
        imaginate.expand(str(data), run, **KNOBS)


@pytest.mark.parametrize("after", [0, 1, 5, 17, 23])
def test_stopped_at_any_write_it_finishes_with_the_same_bytes(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    put, count = Folder.put, iter(range(10**6))

    def failing(self: Folder, name: str, content: bytes) -> None:
        if next(count) == after:
            raise MemoryError("pulled the plug")
        put(self, name, content)

    monkeypatch.setattr(Folder, "put", failing)
    with pytest.raises(MemoryError):
        imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    monkeypatch.setattr(Folder, "put", put)
    imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    same(whole, tmp_path / "run")


def test_batch_and_shard_size_do_not_change_the_images(data: Path, whole: Path, tmp_path: Path) -> None:
    imaginate.expand(str(data), tmp_path / "run", **{**KNOBS, "shard": 100, "batch": 5})
    images = {k: v for k, v in contents(whole).items() if k.startswith("images/")}
    assert images == {k: v for k, v in contents(tmp_path / "run").items() if k.startswith("images/")}


def test_a_changed_recipe_is_refused_and_named(data: Path, whole: Path) -> None:
    with pytest.raises(RunError, match=r"another recipe \(method.alpha was 1.0, is 0.5; expand.copies was 3, is 2\)"):
        imaginate.expand(str(data), whole, **{**KNOBS, "alpha": 0.5, "copies": 2})


def test_a_changed_source_image_is_refused_and_named(tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    imaginate.expand(str(source), tmp_path / "run", **KNOBS)
    (source / "bee" / "001.png").write_bytes(png(picture(99)))
    with pytest.raises(RunError, match=r"source dataset changed since the run began \(1 changed, first: bee/001.png\)"):
        imaginate.expand(str(source), tmp_path / "run", **KNOBS)


def test_a_foreign_folder_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="not empty and is not a run"):
        imaginate.expand(str(data), tmp_path, **KNOBS)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_writers_one_is_refused(data: Path, tmp_path: Path) -> None:
    with (
        own(tmp_path / "run", "expand", is_run=True),
        pytest.raises(RunError, match="being written by another process"),
    ):
        imaginate.expand(str(data), tmp_path / "run", **KNOBS)


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full; free some space"), (errno.EROFS, "read-only file system")]
)
def test_a_full_or_read_only_disk_is_one_line_and_can_be_continued(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    replace, count = os.replace, iter(range(10**6))

    def full(a: str, b: str) -> None:
        if next(count) == 11:
            raise OSError(code, os.strerror(code))
        replace(a, b)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=words) as caught:
        imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(os, "replace", replace)
    imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    same(whole, tmp_path / "run")


def test_broken_seeds_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    good = (source / "ant" / "000.png").read_bytes()
    (source / "ant" / "000.png").write_bytes(good[: len(good) // 2])
    run = imaginate.expand(str(source), tmp_path / "run", **KNOBS)
    assert (run.skipped, run.kept, run.originals) == (1, 33, 11)
    assert "ant/000.png,truncated" in (tmp_path / "run" / "skipped.csv").read_text()
    assert "000" not in {p.name for p in (tmp_path / "run" / "images" / "ant").iterdir()}


def test_the_same_image_under_two_labels_is_used_under_none(tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    (source / "cow" / "000.png").write_bytes((source / "ant" / "000.png").read_bytes())
    run = imaginate.expand(str(source), tmp_path / "run", **KNOBS)
    assert run.skipped == 2
    assert "under two labels" in (tmp_path / "run" / "skipped.csv").read_text()


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", each=1)
    for path in source.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError):
        imaginate.expand(str(source), tmp_path / "run", **KNOBS)


def test_hostile_class_names_stay_inside(tmp_path: Path) -> None:
    names = ["..", "a/b", ".hidden", "Bee", "bee", "naïve 花", "con"]
    lines = ["path,label"]
    for i, name in enumerate(names):
        (tmp_path / f"{i}.png").write_bytes(png(picture(i)))
        lines.append(f'{i}.png,"{name}"')
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    run = imaginate.expand(str(tmp_path / "list.csv"), tmp_path / "out" / "run", **KNOBS)
    assert run.kept == 3 * len(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(f"{i}.png" for i in range(7)), "list.csv", "out"])
    folders = [p.name for p in (tmp_path / "out" / "run" / "images").iterdir()]
    assert len({f.casefold() for f in folders}) == len(names)
    assert not any(f.startswith(".") for f in folders)
    table = tables.read(Folder(tmp_path / "out" / "run"))
    assert set(table["class_name"].to_pylist()) == set(names)


def test_any_fsspec_url_is_an_output(data: Path, whole: Path) -> None:
    import fsspec

    run = imaginate.expand(str(data), "memory://bucket/run", **KNOBS)
    assert run.kept == 36
    files = fsspec.filesystem("memory")
    images = {p.split("/run/", 1)[1]: files.cat_file(p) for p in files.find("/bucket/run/images")}
    assert images == {k: v for k, v in contents(whole).items() if k.startswith("images/")}
    assert imaginate.expand(str(data), "memory://bucket/run", **KNOBS) == run


def test_formats_sizes_and_originals(data: Path, tmp_path: Path) -> None:
    from PIL import Image

    knobs = {**KNOBS, "method": "cutout", "copies": 1}
    imaginate.expand(str(data), tmp_path / "a", **knobs, format="jpeg", output_size=48, originals="none")
    files = [p for p in (tmp_path / "a" / "images").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".jpg"}
    assert len(files) == 12
    for path in files:
        with Image.open(path) as opened:
            assert min(opened.size) == 48
    imaginate.expand(str(data), tmp_path / "b", **knobs, originals="link")
    links = [p for p in (tmp_path / "b" / "images").rglob("*") if p.is_symlink()]
    assert len(links) == 12
    assert all(p.resolve().is_file() and data in p.resolve().parents for p in links)


def test_a_run_is_a_dataset(whole: Path, tmp_path: Path) -> None:
    run = imaginate.expand(str(whole), tmp_path / "next", method="mixup", copies=1, origin="synthetic", progress=False)
    assert (run.originals, run.kept) == (36, 36)
    rows = [r for r in tables.read(Folder(tmp_path / "next")).to_pylist() if r["method"] is None]
    assert {r["origin"] for r in rows} == {"synthetic"}
    assert all(sum(r["soft_label"]) == pytest.approx(1) for r in rows)


def test_one_filter_needs_no_list(data: Path, tmp_path: Path) -> None:
    knobs = {"method": "cutout", "copies": 1, "progress": False}
    asked = ("quality", {"name": "quality"}, ["quality"], [{"name": "quality"}])
    runs = [imaginate.expand(str(data), tmp_path / f"{n}", filters=one, **knobs) for n, one in enumerate(asked)]
    for run in runs[1:]:
        same(Path(runs[0].path), Path(run.path))
    found = [imaginate.refilter(runs[0].path, one, dry_run=True, progress=False) for one in asked]
    assert {one.judged for one in found} == {12}
    with pytest.raises(ConfigError, match="must be a list of filters, got 7"):
        imaginate.expand(str(data), tmp_path / "none", filters=7, **knobs)


def test_settings_are_sorted_into_sections_and_unknown_ones_refused(data: Path) -> None:
    values = gather(None, str(data), "cutout", {"size": 0.3, "format": "webp", "guide": "nano"})
    assert values["method"] == {"name": "cutout", "size": 0.3}
    assert values["write"] == {"format": "webp"}
    with pytest.raises(ConfigError, match="unknown setting 'magnitud' of randaugment; did you mean 'magnitude'"):
        imaginate.expand(str(data), "x", method="randaugment", magnitud=3)
    with pytest.raises(ConfigError, match="unknown method 'cutot'; did you mean 'cutout'"):
        imaginate.expand(str(data), "x", method="cutot")


def test_an_interrupt_says_how_to_go_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = shard.ShardWorker.make

    def interrupted(self: shard.ShardWorker, number: int) -> dict[str, Any]:
        if number == 3:
            raise KeyboardInterrupt
        return make(self, number)

    monkeypatch.setattr(shard.ShardWorker, "make", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped with 3 of 6 shards done; the same command goes on"):
        imaginate.expand(str(data), tmp_path / "run", **KNOBS)


@pytest.mark.integration
def test_killed_at_random_moments_it_finishes_with_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    import random

    flowers = str(shared_data / "flowers102-64")
    command = [sys.executable, "-m", "imaginate", "expand", flowers, str(tmp_path / "run"), "--shots", "3"]
    command += ["--method", "randaugment", "--copies", "3", "--shard", "60", "--quiet"]
    rng, kills = random.Random(0), 0
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(1.5, 4.0))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills >= 2, "the run was too quick to be killed"
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*command[:5], str(tmp_path / "calm"), *command[6:]], check=True, stdout=subprocess.DEVNULL)
    same(tmp_path / "calm", tmp_path / "run")


@pytest.mark.integration
def test_ctrl_c_stops_soon_and_the_same_command_goes_on(shared_data: Path, tmp_path: Path) -> None:
    import signal

    flowers = str(shared_data / "flowers102-64")
    command = [sys.executable, "-m", "imaginate", "expand", flowers, str(tmp_path / "run"), "--method", "randaugment"]
    command += ["--copies", "5", "--split", "train", "--quiet"]
    listening = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a background shell turns it off
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listening)
    deadline = time.time() + 60
    while not (tmp_path / "run" / "shards" / "000000.json").exists():
        assert time.time() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    start = time.time()
    _, stderr = process.communicate(timeout=60)
    assert time.time() - start < 20
    assert process.returncode == 130
    assert "the same command goes on from there" in stderr
    assert len(stderr.strip().splitlines()) == 1


@pytest.mark.integration
@pytest.mark.parametrize("how", ["processes", "killed", "actors", "killed actor"])
def test_workers_and_their_deaths_do_not_change_the_result(data: Path, whole: Path, tmp_path: Path, how: str) -> None:
    """Processes of this machine, or Ray actors; one of them killed."""
    code = """
import signal, sys, threading, time
import imaginate, psutil
how = sys.argv[3]
def kill_one():
    while True:
        for p in psutil.Process().children(recursive=True):
            if ("_RayWorker.make" if "actor" in how else "imaginate.processes") in " ".join(p.cmdline()):
                time.sleep(1)
                p.send_signal(signal.SIGKILL); return
        time.sleep(0.05)
if "killed" in how:
    threading.Thread(target=kill_one, daemon=True).start()
if "actor" in how:
    import ray
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
settings = dict(method="cutmix", copies=3, shard=6, progress=False, workers=3)
run = imaginate.expand(sys.argv[1], sys.argv[2], **settings, ray="auto" if "actor" in how else None)
"""
    if "actor" in how:
        pytest.importorskip("ray")
    arguments = [sys.executable, "-c", code, str(data), str(tmp_path / "run"), how]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(arguments, env=quiet, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "killed" in how or "core_worker" not in done.stderr
    same(whole, tmp_path / "run")


@pytest.mark.integration
@pytest.mark.parametrize("ray", [False, True])
def test_the_command_itself_killed_leaves_no_worker_and_goes_on(data: Path, tmp_path: Path, ray: bool) -> None:
    """Killed with shards in hand, here and in its workers; given again, it ends with the same files."""
    import psutil

    if ray:
        pytest.importorskip("ray")
    code = """
import sys, imaginate
if "auto" in sys.argv:
    import ray
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
settings = dict(method="cutmix", copies=3, shard=2, progress=False, workers=3)
imaginate.expand(sys.argv[1], sys.argv[2], **settings, ray="auto" if "auto" in sys.argv else None)
"""
    arguments = [sys.executable, "-c", code, str(data), str(tmp_path / "run"), *(["auto"] if ray else [])]
    command = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.time() + 120
    while not list((tmp_path / "run" / "shards").glob("*.json")) and time.time() < end:
        time.sleep(0.01)
    children = psutil.Process(command.pid).children(recursive=True)
    assert len(children) >= 2
    command.kill()
    command.wait()
    _, left = psutil.wait_procs(children, timeout=20)
    words = [" ".join(process.cmdline()) for process in left if process.is_running()]  # Ray's own agents take longer
    assert not [line for line in words if "_RayWorker" in line or "imaginate" in line]
    imaginate.expand(str(data), tmp_path / "run", **{**KNOBS, "shard": 2})
    imaginate.expand(str(data), tmp_path / "whole", **{**KNOBS, "shard": 2})
    same(tmp_path / "whole", tmp_path / "run")


def test_two_processes_make_the_same_run(data: Path, whole: Path, tmp_path: Path) -> None:
    run = imaginate.expand(str(data), tmp_path / "run", workers=2, **KNOBS)
    assert run.kept == 36
    same(whole, tmp_path / "run")


def test_the_number_of_threads_changes_no_byte(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoded in the thread that makes the images, and in four others, over several batches a shard."""
    threads, encoded = set(), shard.encode

    def noted(*given: Any) -> bytes:
        threads.add(threading.get_ident())
        return encoded(*given)

    monkeypatch.setattr(shard, "encode", noted)
    for count, name in ((1, "one"), (4, "four")):
        threads.clear()
        monkeypatch.setattr(workers, "processors", lambda count=count: count)
        imaginate.expand(str(data), tmp_path / name, **{**KNOBS, "shard": 12, "batch": 1})
        assert (threads == {threading.get_ident()}) == (count == 1)
    same(tmp_path / "one", tmp_path / "four")


def test_after_an_error_no_thread_writes_any_more(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "processors", lambda: 2)
    encoded, generate, batches = shard.encode, ShardWorker._generate, []

    def slow(*given: Any) -> bytes:
        time.sleep(0.05)
        return encoded(*given)

    def breaks(self: ShardWorker, works: Any) -> None:
        batches.append(works)
        if len(batches) == 2:
            raise RunError("the second batch")
        generate(self, works)

    monkeypatch.setattr(shard, "encode", slow)
    monkeypatch.setattr(ShardWorker, "_generate", breaks)
    with pytest.raises(RunError, match="the second batch"):
        imaginate.expand(str(data), tmp_path / "run", batch=1, **KNOBS)
    there = sorted(tmp_path.rglob("*.png"))
    time.sleep(0.3)
    assert sorted(tmp_path.rglob("*.png")) == there


def test_a_shard_that_ends_every_worker_is_named_when_all_others_are_there(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process cannot make shard 2, and makes all but the first, on which this one works meanwhile."""
    make, last = ShardWorker.make, tmp_path / "run" / "shards" / "000005.json"

    class Elsewhere(LastingProcess):
        def __init__(self, start: Any, prepare: Any, gpu: Any, *made_of: Any, first: Any) -> None:
            self._worker = ShardWorker(*made_of)

        def call(self, function: Any, *arguments: Any) -> Any:
            if arguments == (2,):
                raise ProcessDied("was killed by SIGKILL")
            return make(self._worker, *arguments)

        def close(self) -> None:
            pass

    def waits(self: ShardWorker, number: int) -> dict[str, Any]:
        end = time.time() + 60
        while not last.exists() and time.time() < end:
            time.sleep(0.01)
        return make(self, number)

    monkeypatch.setattr(workers, "LastingProcess", Elsewhere)
    monkeypatch.setattr(ShardWorker, "make", waits)
    with pytest.raises(RunError, match=r"shard 2 .*each of 3 workers was killed by SIGKILL; all others are done"):
        imaginate.expand(str(data), tmp_path / "run", workers=2, **KNOBS)
    there = sorted(p.stem for p in last.parent.glob("*.json"))
    assert there == [f"00000{number}" for number in (0, 1, 3, 4, 5)]
    monkeypatch.undo()
    imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    same(whole, tmp_path / "run")


def test_ray_actors_make_the_same_run(data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shard is made once."""
    make, made = shard.ShardWorker.make, []
    monkeypatch.setattr(shard.ShardWorker, "make", lambda self, number: made.append(number) or make(self, number))
    monkeypatch.setitem(sys.modules, "ray", PretendedRay())
    imaginate.expand(str(data), tmp_path / "run", workers=3, ray="auto", **KNOBS)
    assert sorted(made) == list(range(6))
    same(whole, tmp_path / "run")


def test_a_shard_that_ends_its_actors_is_left_out_and_said(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with processes of one machine. Ray itself asks an actor again, as often as it is allowed to."""
    make = shard.ShardWorker.make

    def poisoned(self: shard.ShardWorker, number: int) -> Any:
        if number == 2:
            raise BrokenPipeError("The actor died unexpectedly before finishing this task.")
        return make(self, number)

    monkeypatch.setattr(shard.ShardWorker, "make", poisoned)
    ray = PretendedRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    said = r"^shard 2 \(seed images .* to .*\) could not be made: each of 3 workers ended.*; all others are done"
    with pytest.raises(RunError, match=said):
        imaginate.expand(str(data), tmp_path / "run", workers=3, ray="auto", **KNOBS)
    assert ray.asked[0]["max_task_retries"] == 2
    there = sorted(file.stem for file in (tmp_path / "run" / "shards").glob("*.json"))
    assert there == [f"00000{number}" for number in (0, 1, 3, 4, 5)]
    monkeypatch.undo()
    imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    same(whole, tmp_path / "run")


@pytest.mark.parametrize("times", [2, 3])
def test_a_shard_of_an_actor_that_cannot_be_reached_is_made_by_another(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Ray gives such a task up before it knows that the machine is gone. The third time, the shard is left out."""
    make, lock, failures = shard.ShardWorker.make, threading.Lock(), itertools.count()

    def unreachable(self: shard.ShardWorker, number: int) -> Any:
        with lock:
            if number == 2 and next(failures) < times:
                raise OutOfReachError("The actor is temporarily unavailable")
        return make(self, number)

    monkeypatch.setattr(shard.ShardWorker, "make", unreachable)
    monkeypatch.setattr(ray_workers, "REST", 0.0)
    monkeypatch.setitem(sys.modules, "ray", PretendedRay())
    if times == 3:
        with pytest.raises(RunError, match=r"^shard 2 .*could not be reached; all others are done"):
            imaginate.expand(str(data), tmp_path / "run", workers=3, ray="auto", **KNOBS)
        monkeypatch.undo()
    more = {"workers": 3, "ray": "auto"} if times == 2 else {}
    imaginate.expand(str(data), tmp_path / "run", **more, **KNOBS)
    same(whole, tmp_path / "run")


def test_an_actor_is_sent_to_the_one_gpu_that_it_sees() -> None:
    from imaginate.engine.resolve import recipe_from

    ray = PretendedRay(gpus=8)
    recipe = recipe_from({"data": {"path": "x"}, "method": "cutmix", "roles": {"device": "cuda:1"}})
    ray_workers._actors(ray, "run", 3)
    assert [options["num_gpus"] for options in ray.asked] == [1.0]
    assert ray_workers.inside(recipe).roles.device == "cuda"
    assert recipe.roles.device == "cuda:1"


def test_errors_are_one_line(data: Path, tmp_path: Path) -> None:
    for bad in ({"copies": 0}, {"format": "gif"}, {"workers": 0}):
        with pytest.raises(ImaginateError) as caught:
            imaginate.expand(str(data), tmp_path / "run", **{**KNOBS, **bad})
        assert "\n" not in str(caught.value)


def test_a_missing_role_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gif-mae needs a guide: give --guide"):
        imaginate.expand(str(data), tmp_path / "run", method="gif-mae", prior="nano", progress=False)
    with pytest.raises(ConfigError, match="filter consistency needs a guide: give --guide"):
        imaginate.expand(str(data), tmp_path / "run", **KNOBS, filters=[{"name": "consistency"}])
    assert not (tmp_path / "run").exists()


def test_a_run_that_made_nothing_begins_again_with_another_recipe(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ImaginateError):
        imaginate.expand(str(data), tmp_path / "run", method="mae", prior=str(tmp_path / "nothing"), progress=False)
    assert imaginate.expand(str(data), tmp_path / "run", **KNOBS).kept == 36


def test_an_image_that_its_format_cannot_hold_is_rejected_alone(tmp_path: Path) -> None:
    """WebP holds 16,383 pixels a side: the copies of a longer seed are rejected with that reason, the run goes on."""
    for name, size in (("a/scan.png", (17000, 4)), ("a/ok.png", (40, 40)), ("b/ok.png", (40, 41))):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize(size).save(tmp_path / "data" / name)
    run = imaginate.expand(str(tmp_path / "data"), tmp_path / "run", "flip-crop", copies=1, tries=1, format="webp")
    assert run.rejected == {"longer than the 16,383 pixels of webp": 1}
    assert (run.originals, run.kept) == (3, 2)
    large = imaginate.expand(
        str(tmp_path / "data"), tmp_path / "large", "flip-crop", copies=1, tries=1, output_size=5_000
    )
    assert large.skipped == 1, "an original that has to be resized beyond the limit is no seed"
    assert large.kept == 2


@pytest.mark.parametrize(
    ("output_size", "side", "reason"), [(None, 65_536, "65,535"), (3_000, 1_200, "pixels to write")]
)
def test_the_reason_is_known_from_the_size(output_size: int | None, side: int, reason: str) -> None:
    from imaginate.write.images import Writing, reason_not_to_write

    image = torch.zeros(3, 1, 1, dtype=torch.uint8).expand(3, 60, side)
    assert reason in reason_not_to_write(image, Writing(format="jpeg", output_size=output_size))
    assert reason_not_to_write(image[:, :, :100], Writing(format="jpeg", output_size=output_size)) == ""


def test_what_the_reader_noticed_is_kept_in_the_run_and_shown(tmp_path: Path) -> None:
    """Printed by every command that reads; in run.json, the card, `inspect` and the report."""
    folder(tmp_path / "data", classes=("ant", "bee"), each=2)
    folder(tmp_path / "data", classes=("cow",), each=1)
    (tmp_path / "data" / "classes.yaml").write_text("ant: {display: an ant}\nbeee: {display: a bee}\n")
    imaginate.expand(str(tmp_path / "data"), tmp_path / "run", "cutout", copies=1)
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["data_notes"]
    assert any("beee" in note for note in notes)
    assert any("single image" in note for note in notes)
    shown = [(tmp_path / "run" / "README.md").read_text(), str(imaginate.inspect(tmp_path / "run"))]
    imaginate.report(tmp_path / "run")
    shown.append((tmp_path / "run" / "report.html").read_text())
    assert all("beee" in text for text in shown)


def test_a_failed_image_has_no_file_and_a_reason(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejected images are kept as files too, but of a candidate without pixels there is only a row."""
    expand = FlipCrop.expand

    def fail_first(method: FlipCrop, requests: Sequence[Request], context: Context) -> list[Candidate]:
        made = expand(method, requests, context)
        return [dataclasses.replace(c, image=None, failed="image is not a number") if c.copy == 0 else c for c in made]

    monkeypatch.setattr(FlipCrop, "expand", fail_first)
    run = imaginate.expand(str(data), tmp_path / "run", "flip-crop", copies=2, progress=False)
    assert run.rejected == {"image is not a number": 12}
    rejected = RunFolder(tmp_path / "run").rows("rejected.parquet")
    assert {(row["reason"], row["file_name"]) for row in rejected} == {("image is not a number", None)}


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_every_new_image_says_in_which_run_and_how_it_came_to_be(data: Path, tmp_path: Path, form: str) -> None:
    imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, format=form, originals="none", progress=False)
    run_id = json.loads((tmp_path / "run" / "run.json").read_text())["id"]
    files = [p for p in (tmp_path / "run" / "images").rglob("*") if p.is_file()]
    for path in files:
        with Image.open(path) as opened:
            found = opened.getxmp()["xmpmeta"]["RDF"]["Description"]
        assert (found["run"], found["method"]) == (run_id, "cutout")
        assert found["DigitalSourceType"].endswith("/algorithmicallyEnhanced")
    assert len(files) == 12


def test_a_copy_of_a_generated_picture_says_so_too(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", ("ant",), each=2)
    marked = encode(torch.zeros(3, 24, 32), Writing(), packet(Mark("", "", "trainedAlgorithmicMedia")))
    (source / "ant" / "000.png").write_bytes(marked)
    imaginate.expand(str(source), tmp_path / "run", "cutout", copies=1, format="webp", progress=False)
    found = {p.name[:3]: source_in(p.read_bytes()) for p in (tmp_path / "run" / "images").rglob("*.webp")}
    assert found == {"000": "trainedAlgorithmicMedia", "001": None}


def test_a_mixture_with_a_generated_picture_says_so(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", ("ant",), each=2)
    marked = encode(torch.zeros(3, 24, 32), Writing(), packet(Mark("", "", "compositeSynthetic")))
    (source / "ant" / "000.png").write_bytes(marked)
    run = imaginate.expand(str(source), tmp_path / "run", "mixup", copies=6, originals="none", progress=False)
    rows = RunFolder(run.path).rows("metadata.parquet")
    said = {
        (row["seed_image"], row["info_partner"]): source_in((tmp_path / "run" / row["file_name"]).read_bytes())
        for row in rows
    }
    assert said == {pair: "compositeSynthetic" if "ant/000.png" in pair else None for pair in said}
    assert len(said) == 4


def test_the_id_of_a_run_is_of_its_data_and_recipe_not_of_its_size(data: Path, tmp_path: Path) -> None:
    ids = {}
    for name, knobs in {"a": {}, "more": {"copies": 2, "batch": 3, "shard": 5}, "other": {"seed": 1}}.items():
        imaginate.expand(str(data), tmp_path / name, "cutout", **{"copies": 1, "progress": False, **knobs})
        ids[name] = json.loads((tmp_path / name / "run.json").read_text())["id"]
    assert ids["a"] == ids["more"] != ids["other"]
