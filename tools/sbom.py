"""Writes what is installed here as an SBOM (CycloneDX 1.6) and as a list of licences.

    make sbom        # build/sbom.cdx.json, build/licences.md

Read from the metadata of the installed distributions, without network: those that
`requirements.txt` locks, and the shared libraries of others in their wheels. Equal
environments give equal files: there is no date and no random number in them.
"""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Sequence
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tools.bundled import Library, installed, libraries, wheel_name

ROOT = Path(__file__).parent.parent
OURS = "ultrasound-jax"
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, RFC 9562
_LONGEST = 60  # letters of a licence's name; longer is its text
# What classifiers and words of metadata mean, where it has no SPDX expression.
_SPDX = {
    "apache": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "python software foundation": "PSF-2.0",
}


def locked() -> set[str]:
    """The names in `requirements.txt`."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}


def licence_of(one: Distribution) -> str:
    """What a distribution's metadata says: an SPDX expression if there is one."""
    stated: Any = one.metadata  # a message of email, whose type says less
    if expression := stated.get("License-Expression"):
        return expression
    classifiers = stated.get_all("Classifier") or []
    said = [
        c.split("::")[-1].strip() for c in classifiers if c.startswith("License ::")
    ]
    words = (stated.get("License") or "").strip()
    if words and words != "UNKNOWN" and "\n" not in words and len(words) <= _LONGEST:
        said.insert(0, words)
    for text in said:
        for word, spdx in _SPDX.items():
            if text.lower().startswith(word):
                return spdx
    return " or ".join(said) or "see its licence file"


def bill() -> dict[str, Any]:
    """The SBOM: a component a distribution, with the libraries of others within it."""
    names = locked()
    found = [one for one in installed() if wheel_name(one) in names]
    inside = libraries()
    ours = next((one for one in installed() if wheel_name(one) == OURS), None)
    version = ours.version if ours else "0"
    components = [
        _component(one, [i for i in inside if i.wheel == wheel_name(one)])
        for one in found
    ]
    present = {wheel_name(one): _purl(wheel_name(one), one.version) for one in found}
    about = {
        "type": "application",
        "bom-ref": _purl(OURS, version),
        "name": OURS,
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    needs = [(present[wheel_name(one)], _needs(one, present)) for one in found]
    if ours:
        needs.append((about["bom-ref"], _needs(ours, present)))
    content = json.dumps([about, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {"component": about},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in sorted(needs)],
    }


def _component(one: Distribution, inside: Sequence[Library]) -> dict[str, Any]:
    name, reference = wheel_name(one), _purl(wheel_name(one), one.version)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": one.version,
        "purl": reference,
        "licenses": _licences(licence_of(one)),
    }
    if inside:
        component["components"] = [
            {
                "type": "library",
                "bom-ref": f"{reference}#{library.file}",
                "name": library.name,
                "licenses": _licences(library.licence or "unknown"),
                "properties": [{"name": "file", "value": library.file}],
            }
            for library in inside
        ]
    return component


def _licences(text: str) -> list[dict[str, Any]]:
    if re.search(r" (OR|AND|WITH) ", text):
        return [{"expression": text}]
    spdx = re.fullmatch(r"[A-Za-z0-9.+-]+", text) and any(c in text for c in "-0")
    return [{"license": {"id" if spdx or text in _SPDX.values() else "name": text}}]


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _needs(one: Distribution, present: dict[str, str]) -> list[str]:
    found = set()
    for line in one.requires or ():
        needed = Requirement(line)
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name in present and (
            not needed.marker or needed.marker.evaluate({"extra": ""})
        ):
            found.add(present[name])
    return sorted(found)


def page() -> str:
    """The list of licences, as Markdown."""
    names = locked()
    lines = ["# Licences of what is installed", "", "| package | version | licence |"]
    lines += ["|---|---|---|"]
    for one in installed():
        if wheel_name(one) in names:
            lines.append(f"| {wheel_name(one)} | {one.version} | {licence_of(one)} |")
    lines += ["", "## Libraries of others within wheels", ""]
    lines += ["| wheel | library | licence |", "|---|---|---|"]
    within = dict.fromkeys((i.wheel, i.name, i.licence) for i in libraries())
    lines += [f"| {wheel} | {name} | {licence} |" for wheel, name, licence in within]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes both files into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.cdx.json").write_text(json.dumps(bill(), indent=1) + "\n")
    (folder / "licences.md").write_text(page())
    print(f"{folder / 'sbom.cdx.json'}, {folder / 'licences.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
