"""The program `gnnseg`: its commands and its global options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gnnseg import __version__
from gnnseg.cli.borders import borders
from gnnseg.cli.ceiling import ceiling
from gnnseg.cli.compare import compare
from gnnseg.cli.demo import demo
from gnnseg.cli.doctor import doctor
from gnnseg.cli.evaluate import evaluate
from gnnseg.cli.graph import graph
from gnnseg.cli.guard import guarded, set_verbosity
from gnnseg.cli.info import info
from gnnseg.cli.options import LOG_OPTIONS, STAGE_OPTIONS, Quiet, Verbose
from gnnseg.cli.paint import paint
from gnnseg.cli.segment import segment
from gnnseg.cli.suggest import suggest
from gnnseg.cli.superpixels import superpixels
from gnnseg.cli.train import train

_EXAMPLES: dict[Callable[..., None], str] = {
    demo: "gnnseg demo --out demo-output",
    train: "gnnseg train my-set/ -o model.safetensors --preset default --max-minutes 10",
    borders: "gnnseg borders my-set/ -m model.safetensors -o sharper.safetensors",
    evaluate: "gnnseg evaluate my-set/ -m model.safetensors --split test --json",
    segment: "gnnseg segment slide.tif -m model.safetensors -o labels.zarr --memory 1GiB",
    superpixels: "gnnseg superpixels slide.tif -o slots.zarr --step 16 --memory 1GiB",
    graph: "gnnseg graph slide.tif -o graph.zarr --n-segments 100000",
    paint: "gnnseg paint slots.zarr values.npy -o painted.zarr",
    suggest: "gnnseg suggest slide.tif -m model.safetensors -o next.json --overlay next.png",
    info: "gnnseg info model.safetensors",
    ceiling: "gnnseg ceiling my-set/ --steps 6,8,12,16 --split val",
    compare: "gnnseg compare compare.toml --out comparison",
    doctor: "gnnseg doctor --json",
}
"""Every command, in the order of the help, with the example that its help shows."""
_RESUME = (train, segment, superpixels, graph, paint, suggest, compare)
_ANEW = {command: "overwrite" for command in _RESUME if command is not compare}
"""The option with which these start anew; a comparison keeps what it has done."""
_STAGES = (superpixels, graph)
_QUICK = (info, doctor)


app = typer.Typer(
    name="gnnseg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: gnnseg demo",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gnnseg {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]


@app.callback()
def root(
    *,
    verbose: Verbose = False,
    quiet: Quiet = False,
    version: Version = False,  # noqa: ARG001
) -> None:
    """Segment images of any size with graph neural networks on superpixels."""
    set_verbosity(verbose=verbose, quiet=quiet)


def _register(command: Callable[..., None], example: str) -> None:
    options = STAGE_OPTIONS if command in _STAGES else ()
    options += () if command in _QUICK else LOG_OPTIONS
    resumes, anew = command in _RESUME, _ANEW.get(command, "")
    guard = guarded(command, resumes=resumes, anew=anew, options=options)
    app.command(command.__name__, epilog=f"Example: {example}")(guard)


for _command, _example in _EXAMPLES.items():
    _register(_command, _example)
