"""Keeps the arrows between the rooms as the architecture has them."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ultrasound_jax"
# room -> what of ours it may import; every room may import `types` and itself.
ARROWS = {
    "main": {
        "config",
        "command",
        "crossval",
        "evaluate",
        "sharding",
        "steps",
        "train",
        "tune",
        "workdir",
    },
    "train": {
        "checkpoint",
        "config",
        "evaluate",
        "experiment",
        "interrupts",
        "optim",
        "progress",
        "report",
        "sharding",
        "steplog",
        "steps",
        "workdir",
    },
    "crossval": {
        "analysis",
        "config",
        "data",
        "evaluate",
        "experiment",
        "report",
        "train",
        "workdir",
    },
    "study": {
        "analysis",
        "config",
        "crossval",
        "data",
        "experiment",
        "locks",
        "optim",
        "provenance",
        "sharding",
        "steps",
        "train",
        "tune",
        "workdir",
    },
    "tune": {
        "analysis",
        "checkpoint",
        "config",
        "evaluate",
        "experiment",
        "locks",
        "optim",
        "progress",
        "report",
        "steplog",
        "train",
        "search",
        "workdir",
    },
    "search": {"analysis", "evaluate", "experiment", "report"},
    "evaluate": {
        "analysis",
        "data",
        "checkpoint",
        "experiment",
        "provenance",
        "report",
        "sharding",
    },
    "experiment": {"augment", "data", "models", "sharding", "steps", "tasks"},
    "benchmark": {
        "config",
        "dicom",
        "experiment",
        "optim",
        "provenance",
        "sharding",
        "steps",
    },
    "steps": {"sharding"},
    "tasks": {"losses", "analysis"},
    "steplog": {"report"},
    "progress": {"optim"},
    "losses": set(),
    "locks": set(),
    "optim": set(),
    "sharding": set(),
    "checkpoint": set(),
    "report": set(),
    "command": {"interrupts"},
    "config": set(),
    "workdir": {"config"},
    "interrupts": set(),
    "provenance": set(),
    "types": set(),
    "models": set(),
    "augment": set(),
    "data": {"datasets"},
    "datasets": {"dicom"},
    "dicom": set(),
    "analysis": set(),
    "explain": {
        "analysis",
        "checkpoint",
        "config",
        "data",
        "evaluate",
        "experiment",
        "models",
        "provenance",
        "sharding",
        "steps",
    },
}
# library -> the only rooms that may import it; for the others it is not theirs.
ONLY = {
    "orbax": {"checkpoint"},
    "tensorflow_datasets": {"datasets", "data"},
    "grain": {"data"},
    "pydicom": {"dicom"},
    "sklearn": {"analysis"},
    "matplotlib": {"analysis", "explain"},
    "ml_collections": {"config", "main"},
    "optuna": {"tune", "search"},
}
WITHOUT_JAX = {"data", "datasets", "dicom", "analysis"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
FILES += [PACKAGE / "models/__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path):
    room = room_of(path)
    assert room in ARROWS, f"{room} is a new room: say what it may import"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "ultrasound_jax" and rest:
            target = rest.split(".")[0]
            if (PACKAGE / target).exists() or (PACKAGE / f"{target}.py").exists():
                allowed = ARROWS[room] | {room, "types"}
                assert target in allowed, f"{room} may not import {target}"
        assert top != "configs", f"{room} may not import a configuration"
        assert room in ONLY.get(top, {room}), f"{room} may not import {top}"
        assert name not in ("absl.flags", "absl.app") or room == "main"
        assert not (top in ("jax", "flax") and room in WITHOUT_JAX), f"{room}: {top}"


def test_configurations_import_nothing_of_the_program():
    for path in (ROOT / "configs").glob("*.py"):
        tops = {n.split(".")[0] for n in imports(path)}
        assert tops <= {"typing", "ml_collections", "configs"}


def test_the_pages_to_read_first_are_short():
    assert len((PACKAGE / "main.py").read_text().splitlines()) <= 60
    assert len((PACKAGE / "train.py").read_text().splitlines()) <= 120


def test_nothing_loads_code_from_data():
    for path in FILES:
        text = path.read_text()
        for word in ("import pickle", "allow_pickle=True", "torch.load(", " eval("):
            assert word not in text, f"{path}: {word}"
