"""Files of one series that become one row: every frame of a cine is its own file."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.dicom.read.series import Part, gaps, order_of, timing_of
from ultrasound_jax.types import InputError

Facts = Mapping[str, Any]
_AGREE = {  # what frames of a cine have in common -> how it is called
    "rows": "size",
    "columns": "size",
    "photometric": "photometric interpretation",
    "regions": "regions",
}


def join_series(
    facts: Mapping[str, Facts], usable: Sequence[str]
) -> tuple[dict[str, Facts], list[str], dict[str, list[str]]]:
    """Single-frame files of one series and patient as one cine each.

    Returns:
        the facts, where those of a joined series stand at its first file; the places
        to use; and the places of each joined series in order, by the first of them.
        Files of a series that cannot be joined stay stills, with the reason.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place in usable:
        series = facts[place].get("series")
        if series:
            groups[series, facts[place]["fields"]["patient_id"]].append(place)
    result, parts, gone = dict(facts), {}, set()
    for places in groups.values():
        single = [p for p in places if facts[p]["fields"]["frames"] == 1]
        if len(single) < 2 or all(facts[p].get("hurt") for p in single):
            continue
        try:
            if len(single) < len(places):
                raise InputError("it has cines of its own")
            ordered = _in_order(facts, single)
        except InputError as error:
            note = f"a file of a series that is not joined to one cine: {error}"
            for place in single:
                result[place] = _noted(facts[place], note)
            continue
        parts[ordered[0]] = ordered
        gone |= set(ordered[1:])
        result[ordered[0]] = _joined([facts[place] for place in ordered])
    return result, [place for place in usable if place not in gone], parts


def _in_order(facts: Mapping[str, Facts], places: Sequence[str]) -> list[str]:
    first = facts[places[0]]["fields"]
    for place in places[1:]:
        for name, called in _AGREE.items():
            if facts[place]["fields"][name] != first[name]:
                raise InputError(f"its files differ in {called}")
    order = order_of([_part(facts[place]) for place in places])
    return [places[number] for number in order]


def _part(fact: Facts) -> Part:
    fields = fact["fields"]
    rate, source = fields["frame_rate"], fields["frame_rate_source"]
    return Part(fact["instance"], rate, source, fact["acquired"], fact["content"])


def _noted(fact: Facts, *notes: str) -> Facts:
    said = dict.fromkeys([fact["fields"]["reason"], *notes])
    reason = "; ".join(note for note in said if note)
    return {**fact, "fields": {**fact["fields"], "reason": reason}}


def _joined(facts: Sequence[Facts]) -> Facts:
    parts = [_part(fact) for fact in facts]
    timing = timing_of(parts)
    hashes = "\n".join(fact["sha256"] for fact in facts)
    flow = {fact["fields"].get("colour_flow", "") for fact in facts}
    kind = facts[0]["fields"]["data_type"]
    fields = {
        **facts[0]["fields"],
        "data_type": "video" if kind == "image" else kind,
        "frames": len(facts),
        "frame_rate": timing.rate,
        "frame_rate_source": timing.source,
        "colour_flow": max(flow),  # yes, no, unknown
    }
    whole = {
        **facts[0],
        "sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        "number": None,
        "hurt": "",
        "times": None if timing.times is None else timing.times.tolist(),
        "fields": fields,
    }
    notes = [fact["fields"]["reason"] for fact in facts[1:]]
    joined = f"{len(facts)} files of one series"
    if hurt := sum(bool(fact.get("hurt")) for fact in facts):
        joined += f", of which {hurt} are damaged"
    return _noted(whole, *notes, joined, gaps(parts), *timing.notes)
