"""`python -m gnnseg` is the command line."""

from gnnseg.cli import main

main()
