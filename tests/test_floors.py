"""The plan of the house: rooms of runtime/ on floors, imports that only point down, no circles.

Imports that are for types alone, and those inside functions, count like all others.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

# Rooms of runtime/, lower floors first: a room imports only from the lines above its own.
FLOORS = (
    ("secrets",),
    ("errors",),  # with the next two the only loose files
    ("whole_file", "extras"),
    ("picture", "machine"),
    ("quality", "thermal", "synthetic"),
    ("bundle",),
    ("capture",),
    ("pairing", "fusion"),
    ("alignment",),
    ("sync", "packing", "output"),
    ("stream", "doctor"),
    ("measure",),
    ("report",),
    ("commands",),
)
LOOSE_FILES = {"errors", "whole_file", "extras"}
PREFIX = "mgdn_edge.runtime"
# All that pages are made of, through any number of imports: results, their words, arithmetic on
# pictures and times, and the conditions. Nothing here opens sessions or sources, or measures.
PAGES_ARE_MADE_OF = {
    "alignment.drift_figures",
    "doctor.doctor_report",
    "errors",
    "fusion.contract.backend_names",
    "machine.ceilings",
    "machine.conditions",
    "machine.environment",
    "machine.nvml",
    "machine.power",
    "machine.text_file",
    "measure.acceptance.accept_result",
    "measure.acceptance.verdict",
    "measure.bench_result",
    "measure.profiling.profile_result",
    "measure.profiling.profile_words",
    "measure.truth_quality",
    "pairing.clock_fit",
    "pairing.frame_stamps",
    "pairing.timed_options",
    "picture.colour",
    "picture.frame",
    "quality.fusion_metrics",
    "quality.parity",
    "quality.precision_verdict",
    "secrets.redaction",
    "stream.frame_times",
    "stream.frame_trace",
    "stream.latency",
    "stream.ledger",
    "stream.result",
    "whole_file",
}

Graph = dict[str, set[str]]


def read_imports(folder: Path, prefix: str) -> Graph:
    """Dotted file of ``folder`` -> the files of it that it imports, anywhere in its code."""
    modules = {}
    for path in folder.rglob("*.py"):
        modules[".".join(path.relative_to(folder).with_suffix("").parts)] = path

    def files(node: ast.AST) -> Iterator[str]:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]  # what importlib is given
        for name in names:
            if name.startswith(f"{prefix}."):
                parts = name.removeprefix(f"{prefix}.").split(".")
                for length in range(len(parts), 0, -1):
                    inner = ".".join(parts[:length])
                    if found := next((m for m in (inner, f"{inner}.__init__") if m in modules), ""):
                        yield found
                        break

    return {
        module: {name for node in ast.walk(ast.parse(path.read_text())) for name in files(node)}
        - {module}
        for module, path in modules.items()
    }


def find_circle(graph: Graph) -> list[str]:
    """Names that lead back to the first of them, or none."""
    finished: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in finished:
            return []
        for following in sorted(graph.get(name, ())):
            if circle := visit(following, [*way, name]):
                return circle
        finished.add(name)
        return []

    return next((circle for name in sorted(graph) if (circle := visit(name, []))), [])


def merge(graph: Graph, depth: int | None) -> Graph:
    """Files -> folders as nodes: their first ``depth`` parts, None the whole folder."""

    def room(name: str) -> str:
        parts = name.split(".")
        return ".".join(parts[:-1] if depth is None else parts[:depth])

    merged: Graph = {}
    for name, imported in graph.items():
        merged.setdefault(room(name), set()).update(
            room(other) for other in imported if room(other) != room(name)
        )
    return merged


def find_offenders(graph: Graph, floors: Iterable[Iterable[str]]) -> set[tuple[str, str]]:
    """(importing file, imported file) of every import that does not point down."""
    floor = {room: number for number, rooms in enumerate(floors) for room in rooms}
    return {
        (name, other)
        for name, imported in graph.items()
        for other in imported
        if name.split(".")[0] != other.split(".")[0]
        and floor[name.split(".")[0]] <= floor[other.split(".")[0]]
    }


@pytest.fixture(scope="module")
def graph(repository: Path) -> Graph:
    found = read_imports(repository / "runtime", PREFIX)
    found.pop("__init__")
    return found


def test_every_room_has_a_floor(graph: Graph) -> None:
    rooms = {name.split(".")[0] for name in graph}
    assert rooms == {room for rooms in FLOORS for room in rooms}


def test_the_loose_files_are_three(repository: Path) -> None:
    loose = {path.stem for path in (repository / "runtime").glob("*.py")} - {"__init__"}
    assert loose == LOOSE_FILES


def test_imports_point_down(graph: Graph) -> None:
    assert find_offenders(graph, FLOORS) == set()


def reach(graph: Graph, room: str) -> set[str]:
    """Files outside ``room`` that its files import, or that those import, and so on."""
    waiting = [name for name in graph if name.split(".")[0] == room]
    reached = set(waiting)
    while waiting:
        found = graph[waiting.pop()] - reached
        reached |= found
        waiting += found
    return {name for name in reached if name.split(".")[0] != room}


def test_pages_are_made_of_results_and_not_of_what_measures(graph: Graph) -> None:
    assert reach(graph, "report") == PAGES_ARE_MADE_OF


def test_what_a_page_reaches_through_others_is_found() -> None:
    graph = {"report.page": {"low.words"}, "low.words": {"low.session"}, "low.session": set()}
    assert reach(graph, "report") == {"low.words", "low.session"}


@pytest.mark.parametrize("folder", ["runtime", "export", "calibration", "plugins"])
def test_no_files_import_in_a_circle(repository: Path, folder: str) -> None:
    assert find_circle(read_imports(repository / folder, f"mgdn_edge.{folder}")) == []


@pytest.mark.parametrize("depth", [1, 2, None], ids=["rooms", "rooms in rooms", "folders"])
def test_no_rooms_import_in_a_circle(graph: Graph, depth: int | None) -> None:
    assert find_circle(merge(graph, depth)) == []


def test_tests_stand_in_rooms_of_the_same_name(repository: Path) -> None:
    tested = repository / "tests" / "runtime"
    rooms = {path.relative_to(tested) for path in tested.rglob("*") if path.is_dir()}
    strangers = {
        str(room)
        for room in rooms
        if "__pycache__" not in room.parts and not (repository / "runtime" / room).is_dir()
    }
    assert strangers == set()


def test_a_circle_and_an_import_upwards_are_found(tmp_path: Path) -> None:
    for name, text in {
        "low.py": "if TYPE_CHECKING:\n    from p.high import x\n",
        "high.py": "def f():\n    import p.low\n",
        "alone.py": "import sys\n",
    }.items():
        (tmp_path / name).write_text(text)
    found = read_imports(tmp_path, "p")
    assert set(find_circle(found)) == {"low", "high"}
    assert find_offenders(found, [["low"], ["high", "alone"]]) == {("low", "high")}
