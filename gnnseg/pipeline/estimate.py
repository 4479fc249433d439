"""About how long a run will take: one chunk of the image is worked on in memory, and scaled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gnnseg.execution import default_workers, one_torch_thread
from gnnseg.memory import reused_memory
from gnnseg.models.group import STEM
from gnnseg.pipeline.rates import Rates, measure
from gnnseg.pipeline.sample import sample

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job

MOST_SAMPLES = 8
"""Samples worked on at once; each takes some 100 MiB."""
WIDER = 1.5
"""A node of a coarse level costs the ratio of the widths to this power (measured: 1.2 to 1.7)."""
PYRAMID = 1.25
"""What painting and the pyramid cost together, painting being 1 (measured: 1.24)."""


@reused_memory()
def estimate_seconds(job: Job) -> float:
    """Seconds that a prepared job will take, about; writes nothing, takes a few seconds."""
    reader, reading = sample(job.reader, job.roi, job.grid.chunk // 2)
    number = min(_threads(job), MOST_SAMPLES)

    def one(_number: int) -> Rates:
        return measure(reader, job.model, job.options)

    with one_torch_thread(), ThreadPoolExecutor(number) as pool:
        # As many at once as will run, for they share processors, caches and memory.
        rates = Rates.mean(list(pool.map(one, range(number))))
    return sum(_scaled(job, replace(rates, pixel=rates.pixel + reading)).values())


def _threads(job: Job) -> int:
    return min(job.plan.workers, default_workers())


def _scaled(job: Job, rates: Rates) -> dict[str, float]:
    """Seconds by phase of the whole run."""
    need, planes, step = job.need, job.planes, job.reader.settings.step
    threads = _threads(job)
    seconds = {"regions": job.region_tiling.busiest(threads) * step**2 * rates.pixel}
    coarse = sum(window.size for level, window in need.tables.items() if level > 1)
    seconds["levels"] = coarse * planes * rates.coarse / threads
    stem = job.model.network.stem
    if stem is not None:
        halo, workers = stem.margin(step), job.plan.stem_workers
        tiling = job.grid.tiling(need.states[STEM], 0, chunks=1, halo=halo, planes=planes)
        seconds[STEM] = tiling.busiest(min(workers, threads)) * step**2 * rates.stem
    for group in job.model.network.groups:
        tiling = job.group_tiling(group, job.group_chunks(group, rates.density))
        seconds[group.name] = tiling.busiest(threads) * _rate(job, group, rates)
    seconds["paint"] = job.roi.size * planes * rates.paint * PYRAMID / threads
    return seconds


def _rate(job: Job, group: Any, rates: Rates) -> float:
    """Seconds a node of a group, for coarse levels from that of the finest."""
    if group.name in rates.nodes:
        return rates.nodes[group.name]
    width, name = max((g.width, g.name) for g in job.model.network.groups if g.level == 0)
    return rates.nodes[name] * (group.width / width) ** WIDER
