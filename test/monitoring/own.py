# SPDX-License-Identifier: Apache-2.0
"""The expressions of kube-ipvs' own dashboard and rules (packaging/helm/kube-ipvs/files)."""
import json
import os
import re

import yaml

ROOT = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
FILES = f"{ROOT}/packaging/helm/kube-ipvs/files"
RULES = f"{FILES}/rules.yaml"

# What the dashboard's variables stand for; $__rate_interval is the caller's.
VARIABLES = {"cluster": ".*", "job": "kube-proxy", "instance": ".*", "namespace": ".*", "service": ".*"}


def rules():
    with open(RULES, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def dashboard():
    with open(f"{FILES}/dashboard.json", encoding="utf-8") as file:
        return json.load(file)


def substituted(expression, rate_interval):
    values = {**VARIABLES, "__rate_interval": rate_interval}
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)


def queries(rate_interval="10s"):
    """(the panel's title, an expression that Prometheus takes), each in order."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", substituted(target["expr"], rate_interval)


def variables():
    """The metric and labels of each variable that is a query: (name, expression, label)."""
    for each in dashboard()["templating"]["list"]:
        if each["type"] == "query":
            expression, label = re.fullmatch(r"label_values\((.*), (\w+)\)", each["query"]["query"]).groups()
            yield each["name"], substituted(expression, "10s"), label
