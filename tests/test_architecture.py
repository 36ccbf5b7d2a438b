"""Keeps the storeys of the house: imports go down, never up, and never in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ultrasound_jax"
# From the top floor down: a room imports from itself and from what stands below it.
STOREYS = (
    "main",
    "benchmark",
    "study",
    "train",
    "external_validation",
    "external_matching",
    "evaluate",
    "explain",
    "radiomics",
    "pretrained",
    "predict",
    "experiment",
    "starting",
    "workdir",
    "config",
    "config_file",
    "tasks",
    "augment",
    "models",
    "datasets",
    "labels",
    "dicom",
    "data",
    "analysis",
    "media",
    "training",
)
# What everybody may stand on; `types` is the root and imports nothing of ours.
GROUND = ("runs", "types")
# The storeys within a room of several, from the top down.
INSIDE = {
    "dicom": ("__main__", "commands", "make", "convert", "index", "clean", "deid")
    + ("read",),
    "analysis": ("__main__", "commands", "report", "judge", "stats", "table")
    + ("canvas", "document", "errors"),
    "radiomics": ("__main__", "classify", "command", "learn", "extract", "features")
    + ("filters", "wavelet", "region", "errors"),
    "explain": ("commands", "cost", "draw", "see", "errors"),
    "data": (
        "audit",
        "dataset",
        "population",
        "pipeline",
        "source",
        "protocols",
        "splits",
        "stratify",
    )
    + ("manifest", "table_file", "seal", "examples", "spec"),
    "labels": ("commands", "clip_table", "disagreement", "merge", "indexed_sheet")
    + ("sheet", "sheet_cells", "findings"),
}
# library -> the only rooms that may import it; for the others it is not theirs.
ONLY = {
    "orbax": {"training"},
    "tensorflow_datasets": {"datasets", "data"},
    "grain": {"data"},
    "pydicom": {"dicom"},
    "sklearn": {"radiomics", "study"},
    "matplotlib": {"analysis", "explain"},
    "ml_collections": {"config", "config_file", "main"},
    "optuna": {"study", "augment", "radiomics"},
}
WITHOUT_JAX = {"data", "datasets", "dicom", "labels", "media", "analysis", "runs"}
WITHOUT_JAX |= {"radiomics"}
# Asks for the devices inside a function, where a training run calls it.
ASKS_JAX_WHEN_CALLED = "ultrasound_jax.runs.provenance"


def room_of(name: str) -> str:
    return name.split(".")[1]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_of(path): path for path in FILES}
ARROWS = {
    name: {other for other in imports(path) if other in MODULES and other != name}
    for name, path in MODULES.items()
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below(path):
    name = module_of(path)
    if "." not in name:
        return
    room = room_of(name)
    assert room in STOREYS + GROUND, f"{room} is a new room: give it a storey"
    for target in ARROWS[name]:
        if "." not in target or room_of(target) == room or room_of(target) in GROUND:
            assert room != "types", "types imports nothing of ours"
            continue
        assert room not in GROUND, f"{room} is ground and may not import {target}"
        below = STOREYS[STOREYS.index(room) + 1 :]
        assert room_of(target) in below, f"{room} may not import {target}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_closet_imports_only_from_below_in_its_room(path):
    name = module_of(path)
    if name.count(".") < 2 or room_of(name) not in INSIDE:
        return
    order = INSIDE[room_of(name)]
    closet = name.split(".")[2]
    assert closet in order, f"{name}: give {closet} a storey in its room"
    for target in ARROWS[name]:
        if target.count(".") > 1 and room_of(target) == room_of(name):
            other = target.split(".")[2]
            assert order.index(other) >= order.index(closet), f"{name} <- {target}"


def test_there_is_no_circle():
    left = {name: set(targets) for name, targets in ARROWS.items()}
    for name, targets in left.items():  # a package is no part of its own modules
        targets -= {t for t in targets if name.startswith(f"{t}.")}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"these import each other: {', '.join(sorted(left))}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_library_is_known_to_its_rooms_only(path):
    name = module_of(path)
    room = room_of(name) if "." in name else "ultrasound_jax"
    for imported in imports(path):
        top = imported.split(".")[0]
        assert top != "configs", f"{room} may not import a configuration"
        assert room in ONLY.get(top, {room}), f"{room} may not import {top}"
        assert imported not in ("absl.flags", "absl.app") or room == "main"
        if name != ASKS_JAX_WHEN_CALLED:
            jax = top in ("jax", "flax")
            assert not (jax and room in WITHOUT_JAX), f"{room}: {top}"


def test_the_ground_stands_without_jax():
    ground = sorted(name for name in MODULES if name.startswith("ultrasound_jax.runs."))
    code = f"import sys, {', '.join(ground)}; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_configurations_import_nothing_of_the_program():
    for path in (ROOT / "configs").glob("*.py"):
        tops = {n.split(".")[0] for n in imports(path)}
        assert tops <= {*sys.stdlib_module_names, "ml_collections", "configs"}


def test_nothing_loads_code_from_data():
    for path in FILES:
        text = path.read_text()
        for word in ("import pickle", "allow_pickle=True", "torch.load(", " eval("):
            assert word not in text, f"{path}: {word}"
