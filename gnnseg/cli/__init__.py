"""The command line: one file a command, shared options in one place, heavy imports inside."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name."""
    from gnnseg.cli.app import app

    app(prog_name="gnnseg")
