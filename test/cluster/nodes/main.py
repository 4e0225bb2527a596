# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes cluster of three nodes on this machine: three test kernels with containerd and a kubelet, and a control
plane beside them, in a network namespace of their own.

Everything is in one directory, so a run can be continued: `up` starts what is not there or does not run."""

import argparse
import fcntl
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import control_plane
import images
import machines
import proxies
import upstream
import trials
from layout import HERE, NODES, TREE, Layout, wait_until


def prepare(layout, say):
    """Installs and builds what is not there: Debian's packages, Kubernetes, the test kernel, the agent."""
    subprocess.run([TREE / "test/lib/setup", "cluster"], check=True)
    if not all((layout.assets / name).exists() for name in ("kubelet", "e2e.test", "node", "e2e-root")):
        subprocess.run([HERE.parent / "build-assets", "--cluster", layout.assets], check=True)
    say("Kubernetes is built")
    subprocess.run([TREE / "test/kernel/fetch"], check=True)
    if "KUBE_IPVS_AGENT" not in os.environ:
        build = proxies.AGENT.parent
        for command in (["cmake", "--preset", "release", "-B", build, "-DKUBE_IPVS_TESTS=OFF",
                         "-DKUBE_IPVS_BENCHMARKS=OFF"],
                        ["cmake", "--build", build, "--target", "kube-ipvs"]):
            subprocess.run(command, cwd=TREE, check=True, stdout=subprocess.DEVNULL)
    say("the agent is built")


def up(layout, options):
    """Starts the cluster, and the proxy that was asked for."""
    began = time.monotonic()

    def say(what):
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    prepare(layout, say)
    images.make(layout)
    say("the images of the tests are there")
    proxies.image(layout)
    say("the image of kube-ipvs is there")
    control_plane.connect(layout)
    control_plane.ControlPlane(layout).start()
    say("the API server answers")
    for node in NODES:
        layout.kubectl("apply", "-f", "-", text=machines.node_object(node))
        machines.Machine(layout, node).start()
    wait_until("three ready Nodes", lambda: len(machines.ready_nodes(layout)) == len(NODES), 600)
    say("the three Nodes are ready")
    proxies.replace(layout, options.proxy)
    say(f"the proxy of the three Nodes: {options.proxy}")
    print("kubectl:", shlex.join(layout.kubectl_command()))


def down(layout, _options):
    """Ends everything; the images stay."""
    for node in NODES:
        machines.Machine(layout, node).cut_power()
    control_plane.ControlPlane(layout).end()
    control_plane.disconnect(layout)


def on_node(layout, options):
    """Runs a shell command on a node."""
    node = next(node for node in NODES if node.name == options.node)
    code, output = machines.Machine(layout, node).run(" ".join(options.command))
    sys.stdout.write(output)
    return code


def kubectl(layout, options):
    """Runs kubectl as the cluster's administrator."""
    command = layout.kubectl_command(*options.arguments)
    os.execvp(command[0], command)


def proxy(layout, options):
    """Removes the proxy that runs and installs another one."""
    proxies.replace(layout, options.proxy)


def trial(layout, options):
    """Runs one of the trials."""
    return trials.run(layout, options.name)


def suite(layout, options):
    """Runs upstream's own tests and prints a line for each."""
    print(json.dumps(upstream.run(layout, options.report, options.focus, options.skip)))


def compare(_layout, options):
    """Prints a table of the results in several directories of `suite`."""
    print(upstream.compare(options.report))


def main():
    cache = os.environ.get("KUBE_IPVS_CACHE") or pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kube-ipvs"
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("--directory", default=str(pathlib.Path(cache) / "cluster"), help="where it is (%(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, name=None):
        added = commands.add_parser(name or function.__name__, help=function.__doc__, description=function.__doc__)
        added.set_defaults(function=function)
        return added

    command(up).add_argument("--proxy", choices=[*proxies.NAMES, "none"], default="kube-ipvs")
    command(down)
    command(proxy).add_argument("proxy", choices=[*proxies.NAMES, "none"])
    node = command(on_node, "node")
    node.add_argument("node", choices=[node.name for node in NODES])
    node.add_argument("command", nargs=argparse.REMAINDER)
    command(kubectl).add_argument("arguments", nargs=argparse.REMAINDER)
    command(trial).add_argument("name", choices=trials.NAMES)
    tests = command(suite)
    tests.add_argument("report", type=pathlib.Path, help="a directory for the report")
    tests.add_argument("--focus", default=upstream.FOCUS, help="a regular expression of test names (%(default)s)")
    tests.add_argument("--skip", default=upstream.SKIP, help="a regular expression of test names (%(default)s)")
    command(compare).add_argument("report", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for the network namespace and the test kernels")
    layout = Layout(options.directory)
    if options.function in (kubectl, on_node, compare):
        return options.function(layout, options)
    with (layout.directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parser.error(f"another command works on {layout.directory}")
        try:
            return options.function(layout, options)
        except subprocess.CalledProcessError as error:
            command = shlex.join(map(str, error.cmd))
            raise SystemExit(f"cluster: {command}: ended with {error.returncode}") from error


sys.exit(main())
