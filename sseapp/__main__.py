"""``python -m sseapp``."""

from sseapp.cli import main

main(prog_name="python -m sseapp")
