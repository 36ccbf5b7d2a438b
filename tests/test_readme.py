"""What the pages say is what the program wrote, and their commands exist."""

import importlib.util
import json
import re

import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings

README = (ROOT / "README.md").read_text()
PAGES = {
    path: path.read_text()
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "ultrasound_jax/datasets").rglob("*.md"),
    )
}
TEXT = "\n".join(PAGES.values())
OF_VIDEOS = ("groups", "findings", "grades", "rename", "study")
OF_FOLDER = ("class_from", "images", "mask_folder", "mask_name")


def test_every_table_is_made_from_the_committed_results():
    path = ROOT / "experiments/readme_tables.py"
    spec = importlib.util.spec_from_file_location("readme_tables", path)
    assert spec and spec.loader
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    for page in tables.PAGES:
        assert tables.fill(page) == (ROOT / page).read_text()
    made = "".join((ROOT / page).read_text() for page in tables.PAGES)
    assert made.count("95 % intervals over patients ([") == 6
    assert made.count("95 % intervals over groups ([") == 3
    places = re.findall(r"<!-- results: (\w+) -->", made)
    assert sorted(places) == [
        "augment",
        "benchmark",
        "benchmark_torch",
        "benchmark_torch_masks",
        "busi",
        "busi_masks",
        "busi_radiomics",
        "conv_scan",
        "conv_steps",
        "damaged_frames",
        "elsewhere",
        "feed",
        "frame_watch",
        "images_augmented",
        "images_busi",
        "images_by_image",
        "images_elsewhere",
        "images_pocus",
        "images_published",
        "images_search",
        "ingest",
        "kept_memory",
        "masks_busi",
        "masks_elsewhere",
        "masks_lungs",
        "masks_published",
        "masks_stages",
        "multireader_tests",
        "overlay_rates",
        "phantom",
        "phantom_cam",
        "pocus",
        "probes",
        "probes",
        "study",
    ]


def test_the_first_screen_says_what_it_is_two_commands_and_what_came_out():
    screen = "\n".join(README.splitlines()[:30])
    for word in ("not for diagnosis", "make luvnet", "make test", "results: phantom"):
        assert word in screen
    assert README.count("<!-- results:") == 2
    assert len(README.split()) < 1000


@pytest.mark.parametrize("path", sorted((ROOT / "experiments/results").glob("*.json")))
def test_results_say_who_computed_them_and_name_no_machine(path):
    text = path.read_text()
    found = json.loads(text)
    run = found.get("run", found)
    assert {"command", "commit", "date"} <= set(run)
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_heading(page):
    for target, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", PAGES[page]):
        text = PAGES[(page.parent / target).resolve() if target else page]
        headings = re.findall(r"(?m)^#+ (.*)$", text)
        slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
        assert heading in slugs, f"{target}#{heading}"


def test_every_configuration_and_setting_named_is_there():
    named = set(re.findall(r"configs/(?:luvnet|probe)\.py(?::[a-z_]+)?", TEXT))
    assert len(named) >= 6
    assert "configs/video_baselines.py:NAME" in TEXT
    for file in set(
        re.findall(r"configs/(?:resnet_attention|folder)\.py(?::\w+)?", TEXT)
    ):
        settings.load(str(ROOT / file))
    for file in named | {"configs/video_baselines.py:usvn"}:
        settings.load(str(ROOT / file))
    for key in re.findall(r"--config\.([\w.\[\]]+)=", TEXT):
        # Options are those of the dataset that the variant has.
        option = key.removeprefix("data.options.")
        file = f"{ROOT}/configs/luvnet.py{':videos' if option in OF_VIDEOS else ''}"
        file = f"{ROOT}/configs/folder.py" if option in OF_FOLDER else file
        settings.check_overrides([f"--config={file}", f"--config.{key}=1"])


def levels(tree):
    """Every part of a tree of results that has a macro AUROC."""
    if isinstance(tree, dict):
        if tree.get("macro_auroc_ci"):
            yield tree
        for branch in tree.values():
            yield from levels(branch)


def test_results_told_by_a_configuration_are_the_committed_ones():
    text = " ".join((ROOT / "configs/luvnet.py").read_text().split())
    told = re.findall(
        r"(0\.\d{3}) \[([\d.]+), ([\d.]+)\] \(experiments/results/(\w+\.json)\)", text
    )
    assert len(told) >= 5
    for *numbers, file in told:
        found = json.loads((ROOT / "experiments/results" / file).read_text())
        known = [(v["macro_auroc"], *v["macro_auroc_ci"]) for v in levels(found)]
        assert tuple(numbers) in {tuple(f"{x:.3f}" for x in one) for one in known}


def test_the_test_command_is_what_make_and_ci_run():
    command = 'python -m pytest -n 2 --dist loadfile -m "not slow"'
    assert command in README
    assert command in (ROOT / "Makefile").read_text()
    assert "make test" in (ROOT / ".ci/run").read_text()
