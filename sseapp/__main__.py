"""``python -m sseapp``."""

from sseapp.cli.commands import main

main(prog_name="python -m sseapp")
