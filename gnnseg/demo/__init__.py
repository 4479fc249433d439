"""The demonstration: train on a few scribbles, segment a large mosaic, show what it cost."""

from __future__ import annotations

from gnnseg.demo.run import run_demo

__all__ = ["run_demo"]
