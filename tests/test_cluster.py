"""What everybody who uses Ray rests on: the share of a GPU, errors that come home as one line, a start that fails."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from imaginate import cluster
from imaginate.errors import ConfigError, DataError, RunError
from pretended_ray import PretendedRay


@pytest.mark.parametrize(
    ("gpus", "workers", "share"),
    [(0, 1, 0), (0, 8, 0), (1, 1, 1), (1, 2, 0.5), (8, 3, 1), (8, 8, 1), (2, 3, 0.5), (3, 4, 0.5), (1, 3, 0.3333)],
)
def test_the_gpu_share(gpus: int, workers: int, share: float) -> None:
    assert cluster.gpu_share(gpus, workers) == share


def test_every_worker_finds_room_on_a_gpu_and_none_asks_for_parts_of_several() -> None:
    """Ray places a worker on a GPU that has its share left, and counts in ten-thousandths."""
    for gpus in range(1, 9):
        for workers in range(1, 65):
            part = round(cluster.gpu_share(gpus, workers) * 10_000)
            assert 0 < part <= 10_000
            assert gpus * (10_000 // part) >= workers


@pytest.mark.parametrize(
    ("given", "inside"), [("cuda:1", "cuda"), ("cuda:0", "cuda"), ("cuda", "cuda"), ("cpu", "cpu"), ("auto", "auto")]
)
def test_inside_a_worker_the_gpus_are_numbered_anew(given: str, inside: str) -> None:
    assert cluster.device_inside(given) == inside


def fails(error: Exception) -> None:
    raise error


def test_deliberate_errors_travel_as_values_and_others_do_not() -> None:
    assert cluster.catch(divmod, 7, 2) == ("done", (3, 1))
    kind, error = pickle.loads(pickle.dumps(cluster.catch(fails, ConfigError("copies must be in [1, inf), got 0"))))
    assert kind == "error"
    assert type(error) is ConfigError
    with pytest.raises(ValueError, match="a bug"):
        cluster.catch(fails, ValueError("a bug"))


def got(value: Any) -> Any:
    """A Ray whose `get` gives a value, or raises it."""
    ray = types.SimpleNamespace(exceptions=types.SimpleNamespace(RayError=ConnectionError))
    ray.get = lambda reference: fails(value) if isinstance(value, Exception) else value
    return cluster.unwrap(ray, object())


def test_what_a_worker_told_is_given_or_raised() -> None:
    assert got(("done", [1])) == [1]
    with pytest.raises(DataError, match=r"^empty$"):
        got(("error", DataError("empty")))
    with pytest.raises(RunError, match=r"^a worker failed: ValueError: a bug$"):
        got(ConnectionError("\x1b[36mray::told()\x1b[39m\n  File ...\nValueError: a bug\n"))
    with pytest.raises(RunError, match=r"^a worker failed: ConnectionError$"):
        got(ConnectionError())


def test_an_address_that_nobody_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: Ray itself tries for minutes and writes warnings meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    for address in (closed, f"ray://{closed}", "127.0.0.1:port"):
        with pytest.raises(RunError, match=f"^cannot reach Ray at {address}: ") as caught:
            cluster.start(types.SimpleNamespace(), 2, address)
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("RAY_ADDRESS", closed)
    assert cluster.address_of(None) == closed
    assert cluster.address_of("auto") == "auto"


def test_a_head_that_is_gone_is_waited_for_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would end the program."""
    now = [100.0]
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now[0])
    server = socket.create_server(("127.0.0.1", 0))
    host, port = server.getsockname()
    ray = types.SimpleNamespace(get_runtime_context=lambda: types.SimpleNamespace(gcs_address=f"{host}:{port}"))
    head = cluster.Head(ray, "auto")
    assert head.answers()
    server.close()
    for now[0] in (101.0, 120.0, 140.0):
        assert not head.answers()
    server = socket.create_server((host, port))
    assert head.answers(), "it came back"
    server.close()
    now[0] = 150.0
    assert not head.answers()
    now[0] = 190.0
    with pytest.raises(RunError, match=f"the head of the Ray cluster at {host}:{port} is gone; finished work is kept"):
        head.answers()
    assert cluster.Head(ray, "ray://elsewhere:1").address == "ray://elsewhere:1"


def test_a_start_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        asked.append(options)
        raise Exception("The current node timed out during startup.\nThis could happen because ...")

    monkeypatch.setenv("RAY_worker_niceness", "5")
    monkeypatch.delenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", raising=False)
    with pytest.raises(
        RunError, match=r"^cannot reach Ray at this machine: The current node timed out during startup.$"
    ):
        cluster.start(types.SimpleNamespace(init=init), 3, None)
    assert asked[0]["num_cpus"] == 3
    assert asked[0]["address"] == "local", "without it Ray joins whatever cluster runs on this machine, and refuses"
    assert os.getenv("RAY_worker_niceness") == "5"  # noqa: SIM112
    assert os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "0"


def test_a_session_stops_only_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    ray = PretendedRay()
    ray.shutdown = lambda: calls.append("shutdown")
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster, "start", lambda *given: calls.append("start"))
    with cluster.session(2) as found:
        assert found is ray
    assert calls == []
    ray.is_initialized = lambda: False
    with cluster.session(0):
        pass
    assert calls == []
    with pytest.raises(KeyboardInterrupt), cluster.session(2):
        raise KeyboardInterrupt
    assert calls == ["start", "shutdown"]


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'imaginate\[ray\]'"), cluster.session(2):
        pass


def test_a_folder_of_another_machine_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    cluster.enter(str(tmp_path / "nothing"))
    assert os.getcwd() == "/"
    cluster.enter(str(tmp_path))
    assert os.getcwd() == str(tmp_path.resolve())


@pytest.mark.integration
def test_more_workers_than_gpus_all_run_at_once() -> None:
    """Ray believes in the two GPUs that it is told of. Equal parts of all GPUs would leave the third worker waiting."""
    pytest.importorskip("ray")
    code = """
import ray
from imaginate import cluster
ray.init("local", num_cpus=3, num_gpus=2, include_dashboard=False, log_to_driver=False)
class Waits:
    def here(self): return 1
actor = ray.remote(num_cpus=1, num_gpus=cluster.gpu_share(ray.cluster_resources()["GPU"], 3))(Waits)
actors = [actor.remote() for _ in range(3)]
ready, _ = ray.wait([one.here.remote() for one in actors], num_returns=3, timeout=100)
assert len(ready) == 3, ready
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=300)
