"""The page on 10^8 images: a plan on paper, whose numbers are computed from what the benchmarks measured last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks/results"
MILLION, ALL, HOUR = 10**6, 10**8, 3600

PAGE = Path(__file__).with_name("scale.md.in")


def scale_page() -> str:
    """The page, with rates of one core in images a second and core hours for 10^6 and 10^8 images."""
    job, growth = _results("expand-side-by-side"), _results("growth")["commands"]["now: expand"]
    retrieval, lists = _results("retrieval-build")["guide"], _results("lists-1000000x512")["pool"]
    small, large = growth["100000"]["peak_mb"], growth["1000000"]["peak_mb"]
    kb = (large - small) * 1000 / (MILLION - MILLION // 10)
    rates = {
        "cutout": 1000 / job["imaginate cutout"]["cpu_ms_per_image"],
        "randaugment": 1000 / job["imaginate randaugment"]["cpu_ms_per_image"],
        "gif_sd": _results("imagination-speed-nano-cpu")["images_per_second"]["gif-sd default"],
        "guide": retrieval["bare_images_per_s"],
        "pool": retrieval["build_images_per_s"],
    }
    hours = {f"hours_{name}": MILLION / rate / HOUR for name, rate in rates.items()}
    whole = {f"{name}_all": number * ALL / MILLION for name, number in hours.items()}
    index = lists["index_cpu_s"]
    return PAGE.read_text(encoding="utf-8").format(
        **rates, **hours, **whole,
        mb_small=small, mb=large, kb=kb, plan_gb=large / 1000, plan_gb_large=(large + kb * 19 * MILLION / 1000) / 1000,
        hours_judged=hours["hours_cutout"] + hours["hours_guide"],
        workers=_results("expand-workers")["two_workers_times_one_core"],
        append=lists["append_cpu_s"], index=index,
        index_5=index * 5**1.5 / 60, index_20=20 * index * 5**1.5 / HOUR, index_one=index * 100**1.5 / HOUR,
        ten_cores=10 * rates["cutout"],
    )  # fmt: skip


def _results(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = record.get("results", record)
    return found
