"""``python -m sseapp``, and the console script ``sseapp``."""

from sseapp.cli.commands import main


def run() -> None:
    """Run the console script."""
    main(prog_name="sseapp")


if __name__ == "__main__":
    main(prog_name="python -m sseapp")
