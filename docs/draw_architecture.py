"""Draw docs/architecture.png: the rooms of the package, and which imports which.

python docs/draw_architecture.py

What is drawn is in the picture's own text as well, as JSON, so that a test can tell whether the
picture is of the code as it is.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "digit_classification"
PICTURE = ROOT / "docs" / "architecture.png"
# From the top to the bottom: arrows go down.
ROOMS = (
    *("scripts", "commands", "serving", "detection", "reports", "training", "results"),
    *("network", "pictures", "ground"),
)
WIDTH, HEIGHT = 6.2, 0.5  # of a room, in inches
DOTS_PER_INCH = 150


def room_of(module: str) -> str | None:
    """Return the room of a module such as `digit_classification.results.mysql`; None elsewhere."""
    top, _, rest = module.partition(".")
    if top != PACKAGE:
        return "scripts" if (ROOT / f"{top}.py").is_file() else None
    room = rest.partition(".")[0]
    return room if room in ROOMS else "ground"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the toolkit with its code."""
    for file in (*sorted(ROOT.glob("*.py")), *sorted((ROOT / PACKAGE).rglob("*.py"))):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(file.read_text(encoding="utf-8"))


def find_rooms() -> dict[str, list[str]]:
    """Return what is in each room: its modules, and its folders with a slash."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, _ in modules():
        room = room_of(name)
        if room is None or name in (PACKAGE, f"{PACKAGE}.{room}"):
            continue
        inside = name.removeprefix(f"{PACKAGE}.").removeprefix(f"{room}.")
        first, _, more = inside.partition(".")
        is_folder = bool(more) or (ROOT / PACKAGE / room / first).is_dir()
        found[room].add(f"{first}/" if is_folder or (ROOT / PACKAGE / first).is_dir() else first)
    return {room: sorted(names) for room, names in found.items()}


def find_imports() -> dict[str, int]:
    """Return how often a room imports a module of another, as `detection -> pictures`."""
    found: Counter[str] = Counter()
    for name, code in modules():
        here = room_of(name)
        for node in ast.walk(code):
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            elif isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            else:
                continue
            for module in imported:
                there = room_of(module)
                if there not in (None, here) and module != PACKAGE:
                    found[f"{here} -> {there}"] += 1
    return dict(sorted(found.items()))


def draw(rooms: dict[str, list[str]], imports: dict[str, int], picture: Path) -> None:
    """Draw a box for each room and, beside them, an arc for each pair of rooms."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import FancyArrowPatch, Rectangle

    step = 1.25 * HEIGHT
    height = {room: (len(ROOMS) - 1 - place) * step for place, room in enumerate(ROOMS)}
    figure, axes = pyplot.subplots(figsize=(WIDTH + 2.0, len(ROOMS) * step + 0.1))
    for room, names in rooms.items():
        y = height[room]
        axes.add_patch(Rectangle((0, y), WIDTH, HEIGHT, facecolor="#eef3f8", edgecolor="#4a6785"))
        axes.text(0.1, y + 0.64 * HEIGHT, room, weight="bold", size=9, va="center")
        axes.text(0.1, y + 0.26 * HEIGHT, "  ".join(names), size=6.3, va="center", color="#333333")
    for arrow, count in imports.items():
        above, below = arrow.split(" -> ")
        down = height[above] > height[below]
        axes.add_patch(
            FancyArrowPatch(
                (WIDTH + 0.03, height[above] + 0.35 * HEIGHT),
                (WIDTH + 0.03, height[below] + 0.65 * HEIGHT),
                connectionstyle=f"arc3,rad={-0.5 if down else 0.5}",
                arrowstyle="-|>",
                mutation_scale=7,
                linewidth=0.4 + 0.25 * count**0.5,
                color="#4a6785" if down else "#c0392b",
                alpha=0.75,
            )
        )
    axes.set_xlim(-0.05, WIDTH + 1.9)
    axes.set_ylim(-0.1, len(ROOMS) * step)
    axes.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(
        picture,
        dpi=DOTS_PER_INCH,
        metadata={"Software": None, "Description": described(rooms, imports)},
    )


def described(rooms: dict[str, list[str]], imports: dict[str, int]) -> str:
    """Return what is drawn, as JSON."""
    return json.dumps({"rooms": rooms, "imports": imports})


if __name__ == "__main__":
    draw(find_rooms(), find_imports(), PICTURE)
