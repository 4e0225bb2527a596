# SPDX-License-Identifier: Apache-2.0
#
# Which failures were allowed, and which were not. Pure: records (traffic.py), damage windows and the ends of pods in.
from collections import Counter


def overlaps(windows, begin, end):
    return any(begin <= last and first <= end for first, last in windows)


def faults(records, damages, pod_ends):
    """The records that must not have failed. `damages`: [(begin, end)]; `pod_ends`: {name: [when its grace period was
    over]}. A connection to a pod that is gone, or that damage has cut, may break."""
    found = []
    for record in records:
        if not record["error"] or overlaps(damages, record["begin"], record["end"]):
            continue
        of_pod = pod_ends.get(record["server"], ())
        if record["kind"] == "connection" and any(record["begin"] <= end <= record["end"] for end in of_pod):
            continue
        found.append(record)
    return found


NOTICED = 10  # seconds until a dead agent runs again and has seen a change


def moved(records, damages, leaves):
    """Affine clients that came to another pod although theirs was still there: pairs of records. `leaves`: {name: [when
    the pod began to leave]}."""
    last, found = {}, []
    for record in sorted((each for each in records if each["kind"] == "affine" and not each["error"]),
                         key=lambda each: each["begin"]):
        before = last.get(record["way"])
        last[record["way"]] = record
        if not before or before["server"] == record["server"]:
            continue
        if overlaps(damages, before["begin"], record["end"]):
            continue
        if not any(before["begin"] - NOTICED <= left <= record["end"] for left in leaves.get(before["server"], ())):
            found.append((before, record))
    return found


def summary(records, failed, story):
    """Lines for people; of each failure, what had happened in the four seconds before. `story`: [(time, what)]."""
    total, bad = Counter(each["kind"] for each in records), Counter(each["kind"] for each in failed)
    lines = [f"{total[kind]} of kind {kind}, {bad[kind]} failed that must not" for kind in sorted(total)]
    for each in failed[:20]:
        lines.append(f"  {each['way']} ({each['kind']}) {each['begin']:.2f} to {each['end']:.2f}, "
                     f"{each['server'] or '-'}: {each['error']}")
        lines += [f"    {when:.2f} {what}" for when, what in story if each["begin"] - 4 <= when <= each["end"]]
    return lines
