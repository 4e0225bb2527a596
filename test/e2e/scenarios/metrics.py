# SPDX-License-Identifier: Apache-2.0
#
# Health and metrics, and a real Prometheus that scrapes them.
import json
import os
import signal
from urllib.parse import quote

from agent import CLUSTER_IPS
from checks import matches, wait_until
from objects import HTTP, pod, service

VIP = "10.96.1.1"


def group_up(lab):
    lab.add_pods(pod_1=11, pod_2=12)
    lab.write("pods.yaml", pod("pod-1", 11), pod("pod-2", 12))
    lab.write_common_services()
    lab.serve("taken", lab.node, http_port=10249)
    lab.agent.restart(*CLUSTER_IPS, "--profiling")


def health(lab, path="healthz"):
    """Status and body."""
    answer = lab.node.fetch(f"http://127.0.0.1:10256/{path}")
    return answer.status, answer.body


def case_a_metrics_port_in_use_is_reported_and_leaves_the_node_healthy(lab):
    wait_until("it is reported", 5, lambda: lab.agent.logged("trying again.*metrics.*10249|trying again.*10249.*metrics"))
    assert health(lab)[0] == 200
    assert health(lab, "livez")[0] == 200
    assert lab.node.get(f"http://{VIP}").startswith("pod-")


def case_when_the_metrics_port_is_free_the_agent_opens_it(lab):
    lab.stop("taken")
    wait_until("it is open", 20, lambda: lab.node.get("http://127.0.0.1:10249/conditions"))
    assert lab.node.get("http://127.0.0.1:10249/conditions") == '{"node":[],"objects":[]}\n'
    lab.agent.metrics()


def passes_logged(lab):
    """How many lines a change of the cluster adds to the log that say that a pass was done."""
    before = lab.agent.times_logged("Sync done")
    for port in (8080, 80):
        lab.write("case.yaml", service("quiet", "10.96.1.99", {"app": "nobody"}, port={**HTTP, "port": port}))
        wait_until("it is there", 20, lambda: lab.has_server(f"TCP 10.96.1.99:{port}"))
    lab.agent.finish_pass()
    return lab.agent.times_logged("Sync done") - before


def case_the_level_of_the_log_is_changed_while_it_runs_18_4(lab):
    assert passes_logged(lab) == 0
    put = ("curl", "-s", "-X", "PUT", "http://127.0.0.1:10249/debug/flags/v", "-d")
    assert lab.node.run(*put, "2").strip() == "successfully set klog.logging.verbosity to 2"
    assert passes_logged(lab) > 0
    assert lab.node.run(*put, "two").startswith("failed set klog.logging.verbosity two: ")
    os.kill(lab.processes["agent"], signal.SIGUSR2)
    wait_until("it is less", 5, lambda: lab.agent.logged("Log verbosity changed. verbosity=1"))
    assert passes_logged(lab) == 0
    os.kill(lab.processes["agent"], signal.SIGUSR1)
    wait_until("it is more", 5, lambda: lab.agent.times_logged("Log verbosity changed. verbosity=2") == 2)
    assert passes_logged(lab) > 0
    lab.node.run(*put, "0")


def case_the_pages_pass_promtool(lab):
    for page in ("/metrics", "/metrics/endpoints", "/metrics/slis"):
        lab.node.run("promtool", "check", "metrics", input=lab.agent.metrics(page))


def case_the_page_has_endpoints_only_of_services_that_ask_for_it(lab):
    assert "kube_ipvs_endpoint_weight" not in lab.agent.metrics()
    assert "kube_ipvs_service_" not in lab.agent.metrics("/metrics/endpoints")


def case_the_page_of_slis_has_the_result_of_the_health_check(lab):
    assert 'kubernetes_healthcheck{name="ping",type="healthz"} 1' in lab.agent.metrics("/metrics/slis")


def connections(lab):
    return lab.agent.metric("kube_ipvs_service_connections_total", service="cluster", port="http")


# The kernel brings its counters up to date every two seconds.
def case_connections_are_counted_per_service_port_and_per_pod(lab):
    wait_until("what was before is counted", 10, lambda: connections(lab) == 1)
    lab["pod-1"].tally(f"http://{VIP}", 10)
    wait_until("ten more are counted", 10, lambda: connections(lab) == 11)
    page = lab.agent.metrics("/metrics/endpoints")
    assert matches('kube_ipvs_endpoint_connections_total{.*service="cluster",port="http",.*pod="pod-1"} [5-6]$', page)
    assert matches('kube_ipvs_endpoint_bytes_out_total{.*service="cluster",port="http",.*pod="pod-2"} [1-9][0-9][0-9]',
                   page)


def case_desired_and_programmed_are_counted_and_equal(lab):
    desired = lab.agent.metric("kube_ipvs_desired_virtual_servers")
    assert desired > 10
    assert lab.agent.metric("kube_ipvs_programmed_virtual_servers") == desired
    assert len(lab.virtual_servers()) == desired


def case_kube_proxys_core_metrics_are_there(lab):
    for name in ("kubeproxy_sync_proxy_rules_duration_seconds_count",
                 "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                 "kubeproxy_network_programming_duration_seconds_count"):
        for family in ("IPv4", "IPv6"):
            lab.agent.metric(name, ip_family=family)
    lab.agent.metric("process_cpu_seconds_total")
    assert lab.agent.metric("kubeproxy_sync_proxy_rules_duration_seconds_count", ip_family="IPv4") > 0


def case_proxy_mode_is_ipvs(lab):
    assert lab.node.get("http://127.0.0.1:10249/proxyMode").strip() == "ipvs"


def query(lab, expression):
    """Prometheus' answer."""
    return json.loads(lab.node.get(f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"))["data"]["result"]


def prometheus_has_the_pods(lab):
    series = query(lab, 'sum by (pod) (kube_ipvs_endpoint_connections_total{service="cluster"})')
    return sorted(each["metric"]["pod"] for each in series) == ["pod-1", "pod-2"]


def case_a_real_prometheus_scrapes_the_agent_and_answers_a_query_by_pod(lab):
    configuration = f"{lab.directory}/prometheus.yaml"
    with open(configuration, "w", encoding="ascii") as file:
        json.dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "kube-ipvs", "static_configs": [{"targets": ["127.0.0.1:10249"]}]},
            {"job_name": "endpoints", "metrics_path": "/metrics/endpoints",
             "static_configs": [{"targets": ["127.0.0.1:10249"]}]}]}, file)
    lab.start("prometheus", lab.node, f"{lab.directory}/log-prometheus", "prometheus", "--config.file", configuration,
              "--storage.tsdb.path", f"{lab.directory}/tsdb", "--web.listen-address", "127.0.0.1:9090")
    wait_until("Prometheus has the pods' series", 90, lambda: prometheus_has_the_pods(lab))
    wait_until("the other page is scraped as well", 30,
               lambda: [each["value"][1] for each in query(lab, 'up{job="kube-ipvs"}')] == ["1"])
    lab.stop("prometheus")


def case_the_agent_stays_under_25_MB_after_a_scrape(lab):
    resident = lab.agent.metric("process_resident_memory_bytes")
    print(f"{resident} bytes")
    assert resident <= 25 * 1024 * 1024
