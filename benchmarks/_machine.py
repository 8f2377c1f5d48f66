"""What every benchmark writes next to its numbers: the command, the versions and the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from imaginate.devices import versions

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """`command`, `versions` and `machine`, without paths or names of this computer: of an absolute path in the command
    only the last part is given."""
    import torch

    script = f"benchmarks/{Path(sys.argv[0]).name}"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = {"cores": os.cpu_count(), "memory_gb": _memory(), "cpu": _cpu(), "gpu": gpu}
    command = " ".join(["python", script, *map(_relative, sys.argv[1:])])
    return {"command": command, "versions": versions(), "machine": machine}


def write(name: str, results: dict[str, Any]) -> Path:
    """Write `results/<name>.json` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps({**environment(), "results": results}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def clock(work: Any) -> float:
    """Seconds of one call, the device drained. On a CPU with one thread: processor seconds, which a busy machine does
    not stretch."""
    import torch

    if not torch.cuda.is_available() and torch.get_num_threads() == 1:
        started = time.process_time()
        work()
        return time.process_time() - started
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _relative(argument: str) -> str:
    """`/any/where/pool` as `pool`, also behind `--flag=` or `name=`; anything else as it is."""
    front, equals, value = argument.rpartition("=")
    return f"{front}{equals}{Path(value).name if Path(value).is_absolute() else value}"


def _memory() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
