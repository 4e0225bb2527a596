# SPDX-License-Identifier: Apache-2.0
"""Upstream's own end-to-end tests (e2e.test of the Kubernetes release in KUBEBUILDER_ASSETS), and their results."""

import json
import re
import subprocess

FOCUS = r"\[sig-network\] (Services|EndpointSlice|EndpointSliceMirroring|Conntrack) "
# Without a cloud there is no load balancer, and without SSH servers on the nodes no test that logs in.
SKIP = r"\[Feature:|[Ll]oad ?[Bb]alancer|ESIPP|LB health|restarting apiserver"
# Tests that restart the proxy cannot run beside others.
ALONE = r"\[Disruptive\]|\[Serial\]"


def _command(layout, focus, skip, *more):
    return layout.inside(
        layout.program("e2e.test"), f"--kubeconfig={layout.kubeconfig}", "--provider=skeleton", "--num-nodes=3",
        f"--kubectl-path={layout.program('kubectl')}", f"--repo-root={layout.program('e2e-root')}",
        "--minStartupPods=0", "--disable-log-dump", "--dump-logs-on-failure=false", "--ginkgo.noColor",
        f"--ginkgo.focus={focus}", f"--ginkgo.skip={skip}", *more)


def names(layout, focus, skip):
    """The names of the tests that would run."""
    listed = subprocess.run(_command(layout, focus, skip, "--ginkgo.dryRun"), capture_output=True, text=True,
                            check=True).stdout
    return sorted(json.loads(line[line.index("{"):])["msg"].removeprefix("PASSED ")
                  for line in listed.splitlines() if '{"msg":"PASSED ' in line)


def _exactly(tests):
    return "(" + "|".join(re.escape(test).replace("\\ ", ".").replace("/", ".") for test in tests) + ")$"


def results(report):
    """The results of the tests by name; of a test that ran more than once, the last. They are read from the logs, which
    have them even of a run that was interrupted."""
    tests = {}
    for log in sorted(report.glob("*/log"), key=lambda file: file.stat().st_mtime):
        seconds, why = 0, None
        for line in log.read_text(errors="replace").splitlines():
            if slow := re.search(r"\[SLOW TEST:([0-9.]+) seconds\]|Failure.* \[([0-9.]+) seconds\]", line):
                seconds = round(float(slow[1] or slow[2]))
            elif "FAIL: " in line:
                why = line.split("FAIL: ", 1)[1]
            elif found := re.search(r'{"msg":"(PASSED|FAILED) ', line):
                name = json.loads(line[found.start():])["msg"].split(" ", 1)[1]
                tests[name] = {"passed": found[1] == "PASSED", "seconds": seconds, "why": why}
                seconds, why = 0, None
    return tests


def run(layout, report, focus, skip, shards=2):
    """Runs the tests, `shards` at a time, leaves logs and reports in the directory, and returns the results. Tests
    that have passed already do not run again."""
    report.mkdir(parents=True, exist_ok=True)
    known = results(report)
    wanted = [name for name in names(layout, focus, skip) if not known.get(name, {}).get("passed")]
    together = [name for name in wanted if not re.search(ALONE, name)]
    alone = [name for name in wanted if re.search(ALONE, name)]
    for group in ([together[shard::shards] for shard in range(shards)], [alone]):
        running = []
        for tests in (each for each in group if each):
            directory = report / f"{len(list(report.iterdir()))}"
            directory.mkdir()
            with (directory / "log").open("wb") as log:
                # pylint: disable-next=consider-using-with  # waited for below
                running.append(subprocess.Popen(
                    _command(layout, _exactly(tests), "^$", f"--report-dir={directory}"),
                    stdout=log, stderr=log))
        for process in running:
            process.wait()
    tests = results(report)
    for name, result in sorted(tests.items()):
        why = "" if result["passed"] else f": {result['why']}"
        print(f"{'passed' if result['passed'] else 'FAILED'}  {result['seconds']:4} s  {name}{why}")
    passed = sum(result["passed"] for result in tests.values())
    return {"passed": passed, "failed": len(tests) - passed}


def compare(reports):
    """A table in Markdown of what became of each test in each report."""
    tests = [results(report) for report in reports]
    lines = ["| test | " + " | ".join(report.name for report in reports) + " |", "|---|" + "---|" * len(reports)]
    for name in sorted(set().union(*tests)):
        cells = [f"{'passed' if each[name]['passed'] else 'FAILED'}, {each[name]['seconds']} s" if name in each else "-"
                 for each in tests]
        lines.append(f"| {name.removeprefix('[sig-network] ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
