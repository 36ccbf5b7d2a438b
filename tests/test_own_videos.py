"""The walk of docs/own_videos.md, its commands run as they stand there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import environment
from tests.conftest import ROOT
from tests.datasets import made_videos
from ultrasound_jax.analysis.table.predictions import Predictions

PAGE = (ROOT / "docs/own_videos.md").read_text()
COMMANDS = re.findall(r"(?m)^    (python -m (?:.*\\\n)*.*)", PAGE)
# What makes a walk of minutes one of seconds; nothing that a user would have to know.
SMALLER = {
    "data.options.size": 32,
    "data.options.frame_rate": 5,
    "data.batch_size": 4,
    "data.eval_batch_size": 8,
    "model.options.width": 4,
    "train.epochs": 1,
    "evaluation.replicates": 200,
}
OF_JUDGING = ("data.eval_batch_size", "evaluation.replicates")
POCUS = (
    "Filename,URL (Video Name),Patient ID / Name,License,Lung Severity Score,Effusion,"
    "Consolidations,B-lines,A-lines"
)


def pocus(folder):
    """Films in the layout of the POCUS set, of phantoms that are nobody's here."""
    lines = [POCUS]
    for number in range(6):
        kind = {
            "a_line": number % 2 == 0,
            "b_line": number % 2 == 1,
            "consolidation": number % 3 == 0,
            "pleural_effusion": number % 3 == 1,
        }
        pictures = made_videos.frames(
            made_videos.Findings(**kind), 50 + number, 0, count=6
        )
        name = f"Cov_{number}.mp4"
        path = folder / "pocus/data/pocus_videos/convex" / name
        made_videos.write_film(path, pictures)
        labels = ",".join(str(int(k)) for k in reversed(kind.values()))
        lines.append(f"{name},,{number},CC BY 4.0,1,{labels}")
    sheet = folder / "pocus/data/dataset_metadata.csv"
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where the words of the page stand for: the two folders, and the runs."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "DIR").mkdir()
    made_videos.write_xlsx(
        folder / "DIR/videos.xlsx", made_videos.study(folder / "DIR")
    )
    pocus(folder / "POCUS")
    return folder


def words(command, places):
    """The command's words with this machine's folders, smaller where it trains."""
    plain = shlex.split(command.replace("\\\n", " "))
    assert plain[:2] == ["python", "-m"]
    found = [
        re.sub(r"(^|=)(DIR|POCUS|runs/)", rf"\1{places}/\2", word) for word in plain[1:]
    ]
    if "ultrasound_jax.main" not in plain:
        return [*found, "--replicates=200"]
    judges = "evaluate" in plain
    changed = {k: v for k, v in SMALLER.items() if not judges or k in OF_JUDGING}
    if "pocus" in command and not judges:
        changed["data.folds"] = 2
    found += [f"--config.{name}={value}" for name, value in changed.items()]
    found.append(f"--config.data.data_dir={places}/data")
    return [*found, *([] if judges else [f"--config.compilation_cache={places}/xla"])]


@pytest.fixture(scope="module")
def walked(places):
    """What each command of the page has printed, in its order."""
    said = []
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, *words(command, places)],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    return said


def test_the_page_has_the_whole_walk():
    modes = [("crossval" in c, "analysis" in c, "evaluate" in c) for c in COMMANDS]
    assert modes == [
        (True, False, False),
        (False, True, False),
        (False, False, False),
        (False, False, True),
    ]


def test_files_lead_to_a_report_of_five_folds(walked, places):
    table = Predictions.read(places / "runs/own/predictions.csv")
    assert table.classes == ("b_line", "consolidation")
    assert set(table.fold.tolist()) == set(range(5))
    assert len(set(table.patient_id)) == 6
    assert all(re.fullmatch("P[0-9a-f]{10}", one) for one in table.patient_id)
    report = (places / "runs/own/report.md").read_text()
    assert "AUROC" in report
    built = re.search(r"what was built: (\S+build\.md), (\S+sheet\.png)", walked[0])
    assert built and Path(built[2]).stat().st_size > 10_000
    page = Path(built[1]).read_text(encoding="utf-8")
    assert "| b_line | unknown | 2 | 1 | 1 |" in page
    assert "| severity | 0: 3, 1: 3, 2: 3, 3: 3 |" in page


def test_subgroups_are_those_of_the_sheet(walked, places):
    text = (places / "runs/own_groups/metrics.md").read_text()
    for name in ("severity", "zone", "machine"):
        assert f"*By {name}." in text


def test_two_of_four_findings_are_judged_elsewhere_and_the_others_named(walked, places):
    metrics = json.loads((places / "runs/elsewhere/metrics.json").read_text())
    assert set(metrics["test"]["clip"]["classes"]) == {"b_line", "consolidation"}
    assert metrics["test"]["thresholds_from"] == "given"
    report = (places / "runs/elsewhere/report.md").read_text()
    assert "a_line, pleural_effusion (left out)" in report
    table = Predictions.read(places / "runs/elsewhere/predictions.csv")
    assert len(set(table.patient_id)) == 6


def test_no_name_leaves_the_folder(walked, places):
    kept = [*(places / "data").rglob("*"), *(places / "runs").rglob("*")]
    for path in kept:
        assert "patient_0" not in path.name
        if path.is_file() and path.suffix in (".json", ".csv", ".md"):
            text = path.read_text(encoding="utf-8")
            if "POCUS" not in text and "pocus" not in path.as_posix():
                assert "Doe0" not in text and "video_0" not in text, path
