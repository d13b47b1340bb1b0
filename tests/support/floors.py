"""Which module stands on which floor of the house. Run with a floor's name it prints that floor's files."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "sseapp"

# From the ground up. A module imports from its own floor and from those below.
FLOORS = {
    "core": """
        change conditions cursor errors filters gregorian index intervals moments operators parameters quantities
        question ring rowtext sse strings table texts values valuetype window zones
    """,
    "shared": "backoff concurrency config signals statements",
    "database": """
        account catalog changelog cluster database embedded guard hold pruner schema snapshot tether where
    """,
    "flow": "broadcaster channel hub listener live places poll replay runtime subscription",
    "faces": """
        __init__ __main__ cli demo doctor
        views.__init__ views.api views.dashboard views.operations views.problems views.trust
    """,
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}


def path(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def modules() -> set[str]:
    """All there are, without the package's name."""
    return {".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in PACKAGE.rglob("*.py")}


if __name__ == "__main__":
    sys.stdout.write(",".join(f"sseapp/{name.replace('.', '/')}.py" for name in FLOORS[sys.argv[1]].split()) + "\n")
