"""Writes the tables of README.md and docs/ from the committed results, nothing else.

    python experiments/readme_tables.py

`tests/test_readme.py` fails where pages and results disagree.
"""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results"
IMAGES = runpy.run_path(str(ROOT / "experiments/image_tables.py"))
MASKS = runpy.run_path(str(ROOT / "experiments/mask_tables.py"))
NAMES = {
    "a_line": "A-line",
    "b_line": "B-line",
    "consolidation": "consolidation",
    "pleural_effusion": "effusion",
}


def read(name: str) -> Any:
    """Reads one file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def cell(value: float | None, interval: list[float] | None) -> str:
    """Writes a value with its interval."""
    if value is None:
        return "not defined"
    return f"{value:.2f}" + (
        f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    )


def aurocs(name: str, level: dict) -> str:
    """Writes one row: macro AUROC, then each pattern's."""
    cells = [cell(level["macro_auroc"], level["macro_auroc_ci"])]
    for pattern in NAMES:
        entry = level["classes"][pattern]
        cells.append(cell(entry["auroc"], entry["auroc_ci"]))
    return f"| {name} | {' | '.join(cells)} |"


def heading(what: str) -> list[str]:
    """Writes the head of a table of AUROCs."""
    titles = ["AUROC, " + what, "macro", *NAMES.values()]
    return [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]


def source(run: dict, file: str) -> str:
    """Says where the numbers come from."""
    return (
        f"`{run['command']}` at commit {run['commit']}, {run['date']}, on "
        f"{run['cpu']}; 95 % intervals over patients "
        f"([{file}](experiments/results/{file}))."
    )


def phantom() -> str:
    """The embedded default."""
    found = read("phantom_luvnet")
    test = found["test"]
    n = test["clip"]["n"]
    rows = heading(f"{n['patients']} unseen phantom patients")
    rows += [aurocs("clips", test["clip"]), aurocs("videos", test["video_mean"])]
    minutes = found["run"]["minutes"]
    note = source(found["run"], "phantom_luvnet.json")
    return "\n".join([*rows, "", f"{minutes} minutes: {note}"])


def pocus() -> str:
    """LUV-Net against frame voting on the real videos."""
    found = read("pocus_luvnet")
    n = found["luvnet"]["out_of_fold"]["clip"]["n"]
    rows = heading(f"{n['videos']} videos, {n['patients']} patients")
    for key, name in (("luvnet", "LUV-Net"), ("frame_vote", "frame vote")):
        tree = found[key]["out_of_fold"]
        rows.append(aurocs(f"{name}, clips", tree["clip"]))
        rows.append(aurocs(f"{name}, videos", tree["video_mean"]))
    minutes = " and ".join(
        found[k]["run"]["minutes of all folds"] for k in ("luvnet", "frame_vote")
    )
    note = source(found["run"], "pocus_luvnet.json")
    return "\n".join([*rows, "", f"{minutes} minutes: {note}"])


def probe_rows() -> list[str]:
    """What a frozen encoder with one linear layer reaches, and what training did."""
    lungs, breasts = read("probe_pocus"), read("probe_busi")
    trained, of_breasts = read("pocus_luvnet"), read("busi_baselines")
    titles = ["macro AUROC, five folds by patient", "linear probe"]
    titles += ["fine-tuned from it"] * TUNED + ["trained from scratch"]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for level, name in (("clip", "clips"), ("video_mean", "videos")):
        tree = lungs["pocus"]["out_of_fold"][level]
        scratch = [
            f"{word} {auroc_of(trained[key]['out_of_fold'][level])}"
            for key, word in (("luvnet", "LUV-Net"), ("frame_vote", "frame vote"))
        ]
        who = f"POCUS, {tree['n']['patients']} patients, {name}"
        cells = [auroc_of(tree), *fine_tuned(POCUS_TUNED, level), ", ".join(scratch)]
        rows.append(f"| {who} | {' | '.join(cells)} |")
    tree = breasts["busi"]["out_of_fold"]["image"]
    scratch = auroc_of(of_breasts["classify"]["out_of_fold"]["image"])
    who = f"BUSI, {tree['n']['patients']} groups of near duplicates, images"
    cells = [auroc_of(tree), *fine_tuned({"busi_last": "last stages"}, "image")]
    rows.append(f"| {who} | {' | '.join([*cells, f'ResNet-18 {scratch}'])} |")
    return rows


POCUS_TUNED = {"pocus_luvnet_last": "LUV-Net", "pocus_vote_last": "frame vote"}
# Whether any of the study's own rows has run; its clips are others than the probe's.
TUNED = any(IMAGES["read"](name) for name in ("busi_last", *POCUS_TUNED))


def fine_tuned(names: dict[str, str], level: str) -> list[str]:
    """A cell of what the study of images reached; none where nothing of it has run."""
    if not TUNED:
        return []
    found = {word: IMAGES["read"](name) for name, word in names.items()}
    told = [
        f"{word} {auroc_of(tree['out_of_fold'][level])}"
        for word, tree in found.items()
        if tree and level != "clip"
    ]
    probe = IMAGES["read"]("pocus_probe") if names is POCUS_TUNED else None
    if told and probe:  # of the clips that these were trained on, which are others
        told.append(f"its probe {auroc_of(probe['out_of_fold'][level])}")
    return [", ".join(told)]


def probes() -> str:
    """The rows and where they come from; minutes depend on which features were kept."""
    files = ("probe_pocus", "probe_busi")
    notes = [source(read(name)["run"], f"{name}.json") for name in files]
    notes[1] = notes[1].replace("over patients", "over groups")
    return "\n".join([*probe_rows(), "", *notes])


def probes_in_short() -> str:
    """The rows alone; the page has the rest."""
    return "\n".join(probe_rows())


def auroc_of(level: dict) -> str:
    """Writes a level's macro AUROC with its interval."""
    return cell(level["macro_auroc"], level["macro_auroc_ci"])


def study() -> str:
    """Every network that was trained by one protocol, beside the first."""
    found = read("pocus_study")
    networks, compared = found["networks"], found["comparison"]
    macro = {r["model"]: r for r in compared["differences"] if r["class"] == "macro"}
    n = networks[compared["reference"]]["out_of_fold"]["clip"]["n"]
    titles = (
        f"macro AUROC, {n['videos']} videos, {n['patients']} patients",
        "learning rate (tried)",
        "clips",
        "videos",
        f"clips, minus {compared['reference']}",
        "p (clustered, Holm)",
    )
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for name, tree in networks.items():
        cells = [rate(tree)]
        for level in ("clip", "video_mean"):
            value = tree["out_of_fold"][level]
            cells.append(cell(value["macro_auroc"], value["macro_auroc_ci"]))
        cells += difference(macro[name]) if name in macro else ["", ""]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    note = source(found["run"], "pocus_study.json")
    without = found["unfinished"]
    left = f" Not finished: {', '.join(without)}." if without else ""
    return "\n".join([*rows, "", f"{training(networks)}{left} {note}"])


def busi() -> str:
    """Three classes of breast ultrasound."""
    found = read("busi_baselines")
    tree = found["classify"]["out_of_fold"]["image"]
    n = tree["n"]
    titles = [
        f"{n['examples']} images, {n['patients']} groups",
        "AUROC against the rest",
    ]
    titles += ["sensitivity", "specificity", "images"]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for name, entry in tree["classes"].items():
        cells = [
            cell(entry[key], entry[f"{key}_ci"])
            for key in ("auroc", "sensitivity", "specificity")
        ]
        rows.append(f"| {name} | {' | '.join(cells)} | {entry['positives']} |")
    cells = [cell(tree["macro_auroc"], tree["macro_auroc_ci"])]
    balanced = cell(tree["balanced_accuracy"], tree["balanced_accuracy_ci"])
    rows.append(f"| macro | {cells[0]} | {balanced} (balanced accuracy) | | |")
    minutes = found["classify"]["run"]["minutes of all folds"]
    note = source(found["run"], "busi_baselines.json").replace("patients", "groups")
    return "\n".join([*rows, "", f"{minutes} minutes: {note}"])


def busi_radiomics() -> str:
    """Classifiers on radiomics of the true masks."""
    found = read("busi_radiomics")
    runs = {name: tree for name, tree in found.items() if name != "run"}
    n = next(iter(runs.values()))["out_of_fold"]["image"]["n"]
    titles = [
        f"{n['examples']} lesions, {n['patients']} groups",
        "AUROC",
        "sensitivity",
    ]
    titles += ["specificity", "balanced accuracy", "features"]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for name, tree in runs.items():
        level = tree["out_of_fold"]["image"]
        entry = level["classes"]["malignant"]
        cells = [
            cell(entry[key], entry[f"{key}_ci"])
            for key in ("auroc", "sensitivity", "specificity")
        ]
        balanced = "balanced_accuracy"
        cells.append(cell(level[balanced], level[f"{balanced}_ci"]))
        kept = [list(fold["counts"].values())[-1] for fold in tree["folds"]]
        cells.append(f"{min(kept)}–{max(kept)}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    note = source(found["run"], "busi_radiomics.json")
    note = note.replace("over patients", "over near-duplicate groups")
    search = next(iter(runs.values()))["run"]["search"]
    return "\n".join([*rows, "", f"Of malignant lesions; search: {search}. {note}"])


def busi_masks() -> str:
    """Lesions of breast ultrasound."""
    found = read("busi_baselines")
    tree = found["segment"]["out_of_fold"]["image"]
    n, entry = tree["n"], tree["classes"]["lesion"]
    titles = [
        f"{n['examples']} images, {n['patients']} groups",
        "mean Dice",
        "mean IoU",
    ]
    titles += ["pooled Dice", "false alarms", "missed", "rightly nothing"]
    cells = [
        cell(entry[key], entry[f"{key}_ci"])
        for key in ("mean_dice", "mean_iou", "pooled_dice")
    ]
    counts = [entry[key] for key in ("false_alarms", "missed", "true_negatives")]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    rows.append(f"| lesion | {' | '.join([*cells, *map(str, counts)])} |")
    minutes = found["segment"]["run"]["minutes of all folds"]
    note = source(found["run"], "busi_baselines.json").replace("patients", "groups")
    return "\n".join([*rows, "", f"{minutes} minutes: {note}"])


def elsewhere() -> str:
    """A run on its own test patients and on another dataset."""
    found = read("pocus_elsewhere")
    rows = heading("macro and each pattern")
    for key, name in (("own", "POCUS, its own test patients"), ("elsewhere", "made")):
        n = found[key]["clip"]["n"]
        told = f"{name}, {n['patients']} patients"
        rows.append(aurocs(f"{told}, clips", found[key]["clip"]))
        rows.append(aurocs(f"{told}, videos", found[key]["video_mean"]))
    note = source(found["run"], "pocus_elsewhere.json")
    return "\n".join([*rows, "", f"By {note}"])


def training(networks: dict) -> str:
    """Says by which commit the networks trained, for how long, and which rates."""
    commits = sorted(
        {c for tree in networks.values() for c in tree["trained"]["commit"]}
    )
    minutes = [float(t["run"]["minutes of all folds"]) for t in networks.values()]
    counts = sorted({len(ended(tree)) for tree in networks.values()})
    return (
        f"Trained at commit {', '.join(commits)}, {min(minutes):.0f} to "
        f"{max(minutes):.0f} minutes a network and core. Learning rates: the best of "
        f"{' or '.join(map(str, counts))}, after an epoch, on validation patients of "
        "fold 0. Pooled and compared by"
    )


def ended(tree: dict) -> list[float]:
    """The rates whose trials came to an end."""
    trials = tree["search"]["trials"]
    return [t["settings"]["optim.lr"] for t in trials if t["state"] != "interrupted"]


def rate(tree: dict) -> str:
    """Writes the rate that was chosen, and between which ones."""
    tried = ended(tree)
    chosen = tree["settings"]["optim.lr"]
    return f"{chosen:.1e} ({min(tried):.1e} to {max(tried):.1e})"


def difference(row: dict) -> list[str]:
    """Writes a difference with its interval, and the p that decides."""
    low, high = row["ci"]
    value = f"{row['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"
    return [value, f"{row['holm_p']:.2f}" + (" *" if row["survives"] else "")]


def benchmark() -> str:
    """Clips a second, and the ratios."""
    found = read("benchmark_cpu")
    rows = ["| | |", "|---|---|"]
    for part in ("data", "step", "loop"):
        for name, value in found[part].items():
            rows.append(f"| {part}: {name.replace('_', ' ')} | {value:.3g} |")
    run = found["run"]
    note = f"{run['devices']}, {run['cpu']}, {run['precision']}, commit {run['commit']}"
    return "\n".join([*rows, "", f"{note}, {run['date']}."])


def ingest() -> str:
    """Frames a second of a clinical cine, beside the plain loop."""
    found = read("ingest_cpu")
    run, speed = found["run"], found["ingest"]
    rows = [
        "| a 720p YBR_FULL_422 cine to 256 x 256 | frames/s | ratio |",
        "|---|---|---|",
    ]
    for key, name in (
        ("plain_pydicom_loop", "pydicom `pixel_array`, then resize frame by frame"),
        ("rgb", "ours, colour"),
        ("grey", "ours, luminance"),
    ):
        ratio = speed.get(f"{key}_ratio_to_plain_pydicom_loop", 1.0)
        rows.append(f"| {name} | {speed[f'{key}_frames_per_s']:.0f} | {ratio:.1f} |")
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}, {run['cpu']}"
    return "\n".join([*rows, "", f"{note}; medians of {found['repeats']}."])


def beside_torch(name: str) -> str:
    """Steps beside PyTorch's: how many times our time each of its ways takes."""
    found = read(name)
    run, torch = found["run"], found["torch"]
    ways = ("eager", "channels_last", "compiled")
    titles = ["", "ours, ms", *(way.replace("_", " ") for way in ways)]
    rows = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * (len(titles) - 1)]
    for name, of in torch["networks"].items():
        if "failed" in of:
            rows.append(f"| {name} | failed | | | |")
            continue
        for part in ("train", "eval"):
            told = [by_way(of[part].get(way)) for way in ways]
            ours = f"{of[part]['ours_ms']:.0f}"
            rows.append(f"| {name}, {part} | {ours} | {' | '.join(told)} |")
    without = torch["left_out"]
    left = f" No time was left for {', '.join(without)}." if without else ""
    about = (
        f"{', '.join(torch['versions'])}, {run['cpu']}, load {found['load_average']}"
    )
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}; {about}"
    return "\n".join([*rows, "", f"{note}; medians of {found['repeats']}.{left}"])


def by_way(found: dict | None) -> str:
    """How many times our time, of wall time and of CPU time."""
    if found is None:
        return "not run"
    if "failed" in found:
        return "failed"
    return f"{found['ratio_to_ours']:.2f} ({found['cpu_ratio_to_ours']:.2f})"


def feed() -> str:
    """Reading clips as large as the published networks take them."""
    found = read("feed_cpu")
    run, of = found["run"], found["feed"]
    rows = [
        "| clips of 30 x 256 x 256 | clips/s | CPU ms a clip |",
        "|---|---:|---:|",
        f"| the pipeline | {of['clips_per_s']:.0f} | "
        f"{of['ours_cpu_ms_per_clip']:.1f} |",
        f"| a plain loop over TFDS | {of['plain_tfds_loop_clips_per_s']:.0f} | "
        f"{of['plain_cpu_ms_per_clip']:.1f} |",
        "| what the small LUV-Net's training step eats | "
        f"{of['small_step_clips_per_s']:.1f} | |",
    ]
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}, {run['cpu']}"
    load = found["load_average"]
    return "\n".join([*rows, "", f"{note}; load {load}."])


def conv_scan() -> str:
    """What the scan over convolutions found."""
    found = read("conv_scan")
    run, rows = found["run"], found["rows"]
    parts = ("values", "input gradient", "kernel gradient")
    table = ["| | shapes | ours to XLA's, median | most | cliffs left |"]
    table += ["|---|---:|---:|---:|---:|"]
    for part in parts:
        speeds = [row[part]["gflops"] for row in rows if part in row]
        gains = sorted(speed["ours"] / speed["xla"] for speed in speeds)
        left = sum(f", {part}: " in cliff for cliff in found["cliffs"])
        middle, most = gains[len(gains) // 2], gains[-1]
        cells = f"{len(gains)} | {middle:.2f} | {most:.1f} | {left}"
        table.append(f"| {part} | {cells} |")
    skipped = len(found["left_out"])
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}, {run['cpu']}"
    file = "experiments/results/conv_scan.json"
    load = f"load {found['load_average']}; {skipped} shapes not reached"
    return "\n".join([*table, "", f"{note}; {load} ([every shape]({file}))."])


def timed(found: dict, how: str) -> str:
    """Which command timed it, where, beside what, and what of its repeats is told."""
    run = found["run"]
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}, {run['cpu']}"
    return f"{note}; load {found['load_average']}; {how}."


def conv_steps() -> str:
    """Whole steps with XLA's convolutions alone, and with ours."""
    found = read("conv_steps")
    rows = [
        "| step | XLA's alone, ms | ours, ms | ratio | ratio of CPU time |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, of in found["steps"].items():
        for part in ("train", "eval"):
            ms = f"{of[part]['xla_ms']:.0f} | {of[part]['ours_ms']:.0f}"
            ratios = (
                f"{of[part]['xla_to_ours']:.2f} | {of[part]['xla_to_ours_cpu']:.2f}"
            )
            rows.append(f"| {name} {part} | {ms} | {ratios} |")
    return "\n".join([*rows, "", timed(found, f"medians of {found['repeats']}")])


def kept_memory() -> str:
    """Steps whose memory is kept, and given back after each."""
    found = read("kept_memory")
    rows = [
        "| a second | given back | kept | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, of in found["steps"].items():
        for part in ("train", "eval"):
            speeds = f"{of[part]['given_back']:.0f} | {of[part]['kept']:.0f}"
            rows.append(f"| {name}: {part} | {speeds} | {of[part]['ratio']:.2f} |")
    how = f"medians of {found['rounds']} processes"
    return "\n".join([*rows, "", timed(found, how)])


def augment() -> str:
    """What primitives and their mixtures cost, and a search's candidates."""
    tree = read("augment_cpu")
    found, search = tree["augment"], tree["search"]
    rows = [
        "| augmentation | images/s | in flips and rotations | beside |",
        "|---|---:|---:|---|",
    ]
    ends, price = "_images_per_s", "_price_of_flip_and_rotate"
    for name in (key.removesuffix(ends) for key in found if key.endswith(ends)):
        ratios = {
            "pillow_loop": "Pillow's loop",
            "vmapped_switch": "`vmap` of a switch",
        }
        beside = [
            f"{found[f'{name}_ratio_to_{key}']:.2f} x {words}"
            for key, words in ratios.items()
            if f"{name}_ratio_to_{key}" in found
        ]
        called = name.replace("mixture_", "a mixture of ")
        cells = [f"{found[name + ends]:.0f}", f"{found[name + price]:.2f}", *beside]
        rows.append(f"| {called} | {' | '.join(cells)} {'|' if beside else '| |'}")
    flips = f"{found['images_per_s_flip_and_rotate']:.0f}"
    rows.append(f"| flips and rotations | {flips} | 1 | |")
    note = (
        f"Candidates of a search: {search['candidates_per_s']:.2f} a second, "
        f"{search['candidates_per_call']:.0f} in a call, "
        f"{search['one_by_one_candidates_per_s']:.2f} one by one."
    )
    how = timed(tree, f"medians of {tree['repeats']}")
    return "\n".join([*rows, "", f"{note} {how}"])


def once_there(name: str, table: Callable[[], str]) -> Callable[[], str]:
    """The table, or a word that its results are not measured yet."""
    measured = (RESULTS / f"{name}.json").exists()
    return table if measured else lambda: "Not measured yet."


def both_probed(table: Callable[[], str]) -> Callable[[], str]:
    """The table, once the probes of both sets are measured."""
    return once_there("probe_busi", once_there("probe_pocus", table))


def damaged_frames() -> str:
    """Which damage of compressed frames is noticed."""
    found = read("damaged_frames")
    run, kinds = found["run"], list(found["damages"])
    rows = [f"| noticed of 100 | {' | '.join(kinds)} |", "|---|" + "---:|" * len(kinds)]
    for row in found["rows"]:
        cells = [f"{100 * row[kind]:.0f}" for kind in kinds]
        rows.append(f"| {row['name']} | {' | '.join(cells)} |")
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}"
    file = "experiments/results/damaged_frames.json"
    return "\n".join([*rows, "", f"{note} ([damaged_frames.json]({file}))."])


def frame_watch() -> str:
    """What is withheld of real cines, and of what was put into them."""
    found = read("frame_watch_rates")
    run, clean = found["run"], found["clean"]
    rows = [
        "| put into the cine | trials | all withheld | other frames withheld |",
        "|---|---:|---:|---:|",
    ]
    for kind, rates in found["made"].items():
        others = f"{rates['other_frames_withheld']} of {rates['other_frames']}"
        rows.append(f"| {kind} | {rates['trials']} | {rates['caught']} | {others} |")
    nothing = f"{clean['withheld']} of {clean['frames']}"
    rows.append(f"| nothing | {clean['cines']} | | {nothing} |")
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}"
    file = "experiments/results/frame_watch_rates.json"
    return "\n".join([*rows, "", f"{note} ([every miss and alarm]({file}))."])


def overlay_rates() -> str:
    """How often text inside the fan is found, and clean recordings are listed."""
    found = read("overlay_rates")

    def of(pair: list[int]) -> str:
        return f"{pair[0]} of {pair[1]}" if pair[1] else ""

    rows = [
        "| cines, encoded as | text that stays: listed | text for 20 to 80 % of "
        "the time: listed | no text: listed |",
        "|---|---|---|---|",
    ]
    for codec, entry in found["codecs"].items():
        cells = [of(entry[key]) for key in ("text", "part", "clean")]
        rows.append(f"| {codec} | {' | '.join(cells)} |")
    rows += ["", "| text that stays in a cine | listed |", "|---|---|"]
    rows += [f"| {name} | {of(pair)} |" for name, pair in found["texts"].items()]
    rows += ["", "| stills, raw and JPEG 75 and 95 | listed |", "|---|---|"]
    rows += [f"| {name} | {of(pair)} |" for name, pair in found["stills"].items()]
    rows.append(f"| BUSI as published, with and without marks | {busi_listed(found)} |")
    run = found["run"]
    note = f"`{run['command']}` at commit {run['commit']}, {run['date']}"
    where = "([overlay_rates.json](experiments/results/overlay_rates.json))"
    return "\n".join([*rows, "", f"{note} {where}."])


def busi_listed(found: dict) -> str:
    """How many of BUSI's pictures are listed."""
    listed, total = found["busi"]["counts"]
    return f"{listed} of {total}"


def multireader() -> str:
    """How often each analysis of readers' ratings finds something."""
    found = read("multireader_tests")
    of = {
        "both": "other readers and patients",
        "hillis": "the same, as published",
        "patients": "these readers, other patients",
        "readers": "other readers, these patients",
    }
    titles = ["what is simulated", "patients", "readers", *of.values()]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for part, words in (
        ("help", "help that is worth nothing on average"),
        ("fixed", "help that is worth nothing to anybody"),
        ("model", "a model as good as the average reader"),
        ("power", "help that adds"),
    ):
        for row in found[part]:
            cells = [f"{100 * row['rejected'][name]:.1f}" for name in of]
            place = [words, str(row["patients"]), str(row["readers"])]
            rows.append(f"| {' | '.join([*place, *cells])} |")
    without = [row for part in ("help", "fixed", "model") for row in found[part]]
    found_in = sum(row["rejected"]["both"] for row in without) / len(without)
    width = 100 * 1.96 * (0.05 * 0.95 / found["repeats"]) ** 0.5
    run = found["run"]
    note = (
        f"Percent of {found['repeats']} studies in which a test rejects at 5 %: "
        f"`{run['command']}` at commit {run['commit']}, {run['date']} "
        "([multireader_tests.json](experiments/results/multireader_tests.json)). "
        f"{found['repeats']} studies know a share of 5 % to ± {width:.1f} points; over "
        f"all {len(without)} kinds without a difference the deciding analysis found "
        f"something in {100 * found_in:.1f} %."
    )
    return "\n".join([*rows, "", note])


def phantom_cam() -> str:
    """Maps on clear lesions: of a trained network, and of some that learnt nothing."""
    found = read("phantom_cam")
    trained = found["trained"]
    nulls = {
        "other_map": "another's map",
        "other_region": "another's region",
        "moved": "the map moved",
        "centre": "the middle",
    }
    titles = ["network and map", "IoU", "pointing game", "the same, 15 pixels off"]
    titles += [f"that of {name}" for name in nulls.values()] + ["verdict"]
    rows = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    named = [(f"trained, {one['maps']}", one) for one in trained["judged"]]
    named += [(f"untrained, seed {one['seed']}", one) for one in found["untrained"]]
    for name, tree in named:
        cells = [
            cell(tree["measures"][m]["mean"], tree["measures"][m]["mean_ci"])
            for m in ("iou", "pointing", "near")
        ]
        cells += [f"{tree['nulls'][null]['near']['mean']:.2f}" for null in nulls]
        cells.append("better than chance" if tree["better"] else "no better")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    n = trained["judged"][0]["n"]
    who = f"{n['examples']} test images with a lesion, {n['patients']} patients"
    auroc = f"macro AUROC {auroc_of(trained)}, trained in {trained['minutes']} minutes"
    note = source(found["run"], "phantom_cam.json")
    return "\n".join([*rows, "", f"{who}; {auroc}. {note}"])


# Which tables stand on which page.
PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"phantom": phantom, "probes": both_probed(probes_in_short)},
    "docs/pretrained.md": {"probes": both_probed(probes)},
    "docs/augmentation.md": {"augment": augment},
    "docs/images_study.md": IMAGES["TABLES"],
    "docs/masks_study.md": MASKS["TABLES"],
    "docs/results.md": {
        "pocus": pocus,
        "study": study,
        "busi": busi,
        "busi_masks": busi_masks,
        "elsewhere": elsewhere,
    },
    "docs/dicom.md": {
        "damaged_frames": damaged_frames,
        "frame_watch": frame_watch,
        "overlay_rates": overlay_rates,
    },
    "docs/cam.md": {"phantom_cam": once_there("phantom_cam", phantom_cam)},
    "docs/radiomics.md": {
        "busi_radiomics": once_there("busi_radiomics", busi_radiomics)
    },
    "docs/reader_studies.md": {"multireader_tests": multireader},
    "docs/speed.md": {
        "benchmark": benchmark,
        "benchmark_torch": once_there(
            "benchmark_torch_cpu", lambda: beside_torch("benchmark_torch_cpu")
        ),
        "benchmark_torch_masks": lambda: beside_torch("benchmark_torch_masks_cpu"),
        "conv_scan": once_there("conv_scan", conv_scan),
        "conv_steps": once_there("conv_steps", conv_steps),
        "kept_memory": once_there("kept_memory", kept_memory),
        "feed": once_there("feed_cpu", feed),
        "ingest": ingest,
    },
}


def fill(page: str) -> str:
    """The text of a page with its tables made anew."""
    text = (ROOT / page).read_text()
    for name, table in PAGES[page].items():
        made = table()
        if "/" in page:  # links are as seen from the root
            made = made.replace("](experiments/", "](../experiments/")
        pattern = rf"(<!-- results: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda m, t=made: f"{m[1]}{t}\n{m[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{page} has {count} places for the table '{name}'")
    return text


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / page).write_text(fill(page))
