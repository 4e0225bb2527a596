# SPDX-License-Identifier: Apache-2.0
import os
import re
import signal
import subprocess

from checks import matches, wait_until

CLUSTER_IPS = ("--service-cluster-ip-range", "10.96.0.0/12,fd00:10:96::/112")
CLUSTER_CIDR = ("--cluster-cidr", "10.244.0.0/16,fd00:244::/32")

HERE = os.path.dirname(os.path.abspath(__file__))
# Under the profile: a call that it does not allow kills the agent, and so the test fails.
SECCOMP = (f"{HERE}/../lib/seccomp", os.path.realpath(f"{HERE}/../../examples/seccomp.json"))


class Agent:
    """kube-ipvs, on the node, with the manifests of the lab."""

    def __init__(self, lab, program):
        self.lab, self.program = lab, program
        self.log = f"{lab.directory}/agent.log"
        self.flags = None
        # What the agent is started by.
        self.prefix = SECCOMP if os.environ.get("KUBE_IPVS_SECCOMP") else ()

    def start(self, *flags, source=None):
        """Returns at once. `source`: flags that say where the objects come from, in place of the manifests."""
        source = source or ("--manifests", self.lab.manifests)
        self.flags = flags
        self.lab.start("agent", self.lab.node, self.log, *self.prefix, self.program, *source, "--hostname-override",
                       "node", *flags)

    def stop(self, signal_number=signal.SIGTERM):
        self.lab.stop("agent", signal_number)

    def kill(self):
        self.stop(signal.SIGKILL)

    def ready(self):
        """The kernel holds what the manifests say."""
        wait_until("the agent completes its table", 60, lambda: self.logged("Table complete"))

    def finish_pass(self):
        """Waits until it has done all that it knows of. (Its pending changes count until the end of the pass.)"""
        kinds = [f"kubeproxy_sync_proxy_rules_{kind}_changes_pending" for kind in ("service", "endpoint")]
        wait_until("the agent has no pending change", 20, lambda: not any(self.metric(name) for name in kinds))

    def restart(self, *flags, **options):
        """Also where none runs."""
        self.stop()
        self.start(*flags, **options)
        self.ready()

    def cleanup(self, *flags):
        """What it printed, line by line."""
        return self.lab.node.run(self.program, "cleanup", *flags).splitlines()

    def plan(self, *flags):
        """What `plan --against-kernel` prints, line by line; its exit code says whether that is a difference."""
        with self.lab.node.namespace:
            result = subprocess.run([self.program, "plan", "--against-kernel", "--manifests", self.lab.manifests,
                                     "--hostname-override", "node", *flags],
                                    text=True, capture_output=True, timeout=120)
        lines = result.stdout.splitlines()
        assert result.returncode == (0 if lines == ["no difference"] else 1), result
        return lines

    def ask(self, *words):
        """A question on the node: (exit code, all that it printed)."""
        with self.lab.node.namespace:
            done = subprocess.run([self.program, *words], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def logged(self, pattern):
        return matches(pattern, self.log_text())

    def times_logged(self, pattern):
        return sum(1 for line in self.log_text().splitlines() if re.search(pattern, line))

    def metrics(self, page="/metrics"):
        return self.lab.node.get(f"http://127.0.0.1:10249{page}")

    def metric(self, name, **labels):
        """The value of the one line that has all the labels."""
        of_endpoint = "endpoint" in labels or "pod" in labels
        page = self.metrics("/metrics/endpoints" if of_endpoint else "/metrics")
        lines = [line for line in page.splitlines()
                 if re.match(rf"{name}[ {{]", line)
                 and all(re.search(rf'[{{,]{label}="{re.escape(text)}"', line) for label, text in labels.items())]
        assert len(lines) == 1, f"{len(lines)} lines of {name} {labels}"
        return float(lines[0].split()[-1])
