# SPDX-License-Identifier: Apache-2.0
"""Helm, kubectl and the files of the chart, for `chart` and `chart_on_api_server`."""
import atexit
import os
import shutil
import subprocess
import tempfile

import yaml

ROOT = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
CHART = f"{ROOT}/packaging/helm/kube-ipvs"
OVERLAYS = f"{ROOT}/packaging/kustomize/overlays"
SETS = ("replace-kube-proxy", "beside-kube-proxy", "everything")
NEWEST = "1.34.0"


class Tools:
    def __init__(self, directory):
        self.helm, self.kubectl = f"{directory}/helm/helm", f"{directory}/kubectl/kubectl"
        self.home = tempfile.mkdtemp(prefix="kube-ipvs-packaging.")
        atexit.register(shutil.rmtree, self.home, ignore_errors=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home, "KUBECONFIG": f"{self.home}/none"}

    def run(self, *command, **more):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, **more)

    def output(self, *command):
        done = self.run(*command)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def template(self, *options, version=NEWEST):
        return self.run(self.helm, "template", "kube-ipvs", CHART, "-n", "kube-system", "--kube-version", version,
                        *options)

    def chart(self, values, *options, version=NEWEST):
        done = self.template("-f", f"{CHART}/ci/{values}-values.yaml", *options, version=version)
        if done.returncode:
            raise RuntimeError(f"the chart with {values}: {done.stderr}")
        return done.stdout

    def overlay(self, name):
        return self.output(self.kubectl, "kustomize", name)


class Strict(yaml.SafeLoader):
    """Refuses what PyYAML takes, and the API server or kubectl does not: one key twice."""
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"twice in one mapping: {twice}\n{node.start_mark}")
        return super().construct_mapping(node, deep)


def objects(text):
    return {f"{each['kind']} {each['metadata']['name']}": each for each in yaml.load_all(text, Strict) if each}
