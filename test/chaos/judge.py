# SPDX-License-Identifier: Apache-2.0
#
# Which failures were allowed, and which were not. Pure: records (traffic.py), damage windows and the ends of pods in.
from collections import Counter

NOTICED = 8  # seconds until a client has noticed that its connection was cut (more than traffic.PATIENCE)
TURNED = 20  # seconds until clients have come back to where they belong, after a pod that left has come again


def overlaps(windows, begin, end):
    return any(begin <= last and first <= end for first, last in windows)


def is_excused(record, damages, pod_ends):
    """A request: while it was under way there was damage. A connection: damage, or the end of its pod's grace period,
    cut it, and this was noticed soon."""
    if record["kind"] != "connection":
        return overlaps(damages, record["begin"], record["end"])
    cuts = [*damages, *pod_ends.get(record["server"], ())]
    return any(record["begin"] <= last and first <= record["end"] <= last + NOTICED for first, last in cuts)


def faults(records, damages, pod_ends):
    """The records that must not have failed. `damages`: [(begin, end)]; `pod_ends`: {name: [(when its grace period was
    over, when it ended)]}: the agent deletes an endpoint, and so cuts what is still open, as soon as the one, and the
    pod is gone with the other."""
    return [record for record in records
            if record["error"] and record["kind"] != "direct" and not is_excused(record, damages, pod_ends)]


STALL = 1  # seconds


def stalls(records):
    """When a pod that was asked directly, without any Service, took more than a second: the machine was too busy to run
    it, and so it was not ready. [(begin, end)]"""
    return [(each["begin"], each["end"]) for each in records
            if each["kind"] == "direct" and not each["error"] and each["end"] - each["begin"] > STALL]


def is_starved(record, stalls):
    """It was not answered in time while the machine was too busy. A connection that was reset is not."""
    return "timed out" in record["error"] and overlaps(stalls, record["begin"], record["end"])


def moved(records, damages, leaves):
    """Affine clients that came to another pod although theirs was still there: pairs of records. `leaves`: {name:
    [[when the pod began to leave, when it ended or was ready again]]}: an agent that was dead turns clients away
    late."""
    last, found = {}, []
    for record in sorted((each for each in records if each["kind"] == "affine" and not each["error"]),
                         key=lambda each: each["begin"]):
        before = last.get(record["way"])
        last[record["way"]] = record
        if not before or before["server"] == record["server"]:
            continue
        if overlaps(damages, before["begin"], record["end"]):
            continue
        times = [(left, end + TURNED) for left, end in leaves.get(before["server"], ())]
        if not overlaps(times, before["begin"], record["end"]):
            found.append((before, record))
    return found


def counts(records, failed):
    """One line: "12345 requests, 0 failed; ..."."""
    names = {"request": "requests", "affine": "affine requests", "datagram": "datagrams", "connection": "connections"}
    total, bad = Counter(each["kind"] for each in records), Counter(each["kind"] for each in failed)
    return "; ".join(f"{total[kind]} {names[kind]}, {bad[kind]} {'broken' if kind == 'connection' else 'failed'}"
                     for kind in names)


def details(failed, story):
    """Lines for people; of each failure, what had happened in the four seconds before. `story`: [(time, what)]."""
    for each in failed[:20]:
        yield (f"  {each['way']} ({each['kind']}) {each['begin']:.2f} to {each['end']:.2f}, "
               f"{each['server'] or '-'}: {each['error']}")
        yield from (f"    {when:.2f} {what}" for when, what in story if each["end"] - 10 <= when <= each["end"])
