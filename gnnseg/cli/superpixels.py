"""`gnnseg superpixels`."""

from __future__ import annotations

from gnnseg.cli.options import (
    AsJson,
    BlockSize,
    Compactness,
    ImagePath,
    Iterations,
    MaskPath,
    Memory,
    OutPath,
    Overwrite,
    Segments,
    Sigma,
    Step,
    Workers,
)
from gnnseg.cli.output import emit, seconds


def superpixels(
    image: ImagePath,
    *,
    out: OutPath,
    step: Step = None,
    n_segments: Segments = None,
    compactness: Compactness = 10.0,
    n_iter: Iterations = 5,
    sigma: Sigma = 0.0,
    mask: MaskPath = None,
    memory: Memory = None,
    block: BlockSize = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Divide an image into superpixels and write their slot map, a byte a pixel."""
    from gnnseg.memory import format_size
    from gnnseg.pipeline import write_superpixels

    result = write_superpixels(
        image,
        out,
        step=step,
        n_segments=n_segments,
        compactness=compactness,
        n_iter=n_iter,
        sigma=sigma,
        mask=mask,
        memory=memory,
        block=block,
        workers=workers,
        overwrite=overwrite,
    )
    rows = [
        ("output", result["output"]),
        ("superpixels", f"{result['num_superpixels']:,}"),
        ("leftover pixels", f"{result['leftover_pixels']:,}"),
        ("time", seconds(result["seconds"])),
        ("peak memory", format_size(result["peak_rss_bytes"])),
    ]
    emit(result, rows, as_json=as_json)
