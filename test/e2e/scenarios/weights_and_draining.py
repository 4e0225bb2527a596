# SPDX-License-Identifier: Apache-2.0
#
# Weights and slow starts, and how long connections to an endpoint may continue that is not ready or being deleted.
import time

from checks import holds_for, show, wait_until
from objects import ECHO, load_balancer, pod, service
from two_nodes import POD_1, group_up, has_weights, splits, use_agent

FIRST, SECOND = "10.244.1.14", "10.244.1.15"
WRR = {"kube-ipvs.io/scheduler": "wrr"}
HOUR = 3600

# --- weights ---------------------------------------------------------------------------------------------------------


def weighted_pods(lab, first, second):
    lab.write("case-pods.yaml", *(
        pod(f"weighted-{number}", 13 + number, {"app": "weighted"}, annotations={"kube-ipvs.io/weight": str(weight)})
        for number, weight in ((1, first), (2, second))))


def case_connections_are_shared_out_by_the_weights_of_pods_and_follow_when_these_change(lab):
    url, server = "http://10.96.9.1", "TCP 10.96.9.1:80"
    use_agent(lab)
    weighted_pods(lab, 3, 1)
    lab.write("case.yaml", service("weighted", "10.96.9.1", {"app": "weighted"}, annotations=WRR))
    lab.served("10.96.9.1", 80, f"{FIRST}:80", f"{SECOND}:80")
    splits(lab, url, 40, first=30, second=10)
    weighted_pods(lab, 1, 3)
    wait_until("the weights are exchanged", 20, lambda: has_weights(lab, server, first=1, second=3))
    splits(lab, url, 40, first=10, second=30)
    weighted_pods(lab, 0, 3)
    wait_until("one has none", 20, lambda: has_weights(lab, server, first=0, second=3))
    splits(lab, url, 40, second=40)


def case_a_pod_whose_weight_becomes_0_keeps_its_connections_and_gets_no_new_one(lab):
    server = "TCP 10.96.9.2:7"
    use_agent(lab)
    weighted_pods(lab, 1, 0)
    lab.write("case.yaml", service("weighted", "10.96.9.2", {"app": "weighted"}, port=ECHO, annotations=WRR))
    lab.served("10.96.9.2", 7, f"{FIRST}:7")
    connection = lab["client"].connect("10.96.9.2", 7)
    assert connection.server == "first"
    weighted_pods(lab, 0, 1)
    wait_until("the other has the weight", 20, lambda: has_weights(lab, server, first=0, second=1))
    holds_for(4, connection.works)
    assert has_weights(lab, server, first=0, second=1)


def case_weights_under_a_scheduler_that_ignores_them_are_reported_in_one_line_and_all_pods_get_the_same(lab):
    server = "TCP 10.96.9.3:80"
    use_agent(lab)
    weighted_pods(lab, 3, 1)
    lab.write("case.yaml", service("heedless", "10.96.9.3", {"app": "weighted"}))
    lab.served("10.96.9.3", 80, f"{FIRST}:80", f"{SECOND}:80")
    wait_until("the pods are known as written", 20, lambda: has_weights(lab, server, first=3, second=1))
    wait_until("it is reported", 10,
               lambda: lab.agent.logged("the scheduler rr ignores the weights.*default/heedless"))
    splits(lab, "http://10.96.9.3", 20, first=10, second=10)
    weighted_pods(lab, 1, 5)
    wait_until("the weights are exchanged", 20, lambda: has_weights(lab, server, first=1, second=5))
    lab.agent.finish_pass()
    assert lab.agent.times_logged("ignores the weights.*default/heedless") == 1


def slow_pods(lab, second_ready_in=None):
    """The first has no condition. The second is there if it is ready, since or in so many seconds."""
    slow = {"app": "slow"}
    pods = [pod("slow-1", 14, slow)]
    if second_ready_in is not None:
        pods.append(pod("slow-2", 15, slow, ready=True, since=second_ready_in))
    lab.write("case-pods.yaml", *pods)


def weights_until_100(lab, server, destination):
    """The steps of its weight, which never goes back."""
    deadline, steps = time.monotonic() + 120, [0]
    while steps[-1] != 100:
        assert time.monotonic() < deadline, steps
        weight = lab.weights(server)[destination]
        assert weight >= steps[-1], f"{steps}, then {weight}"
        if weight > steps[-1]:
            steps.append(weight)
        time.sleep(0.2)
    return steps[1:]


def slow_service(lab, slow_start):
    lab.write("case.yaml", service("slow", "10.96.9.4", {"app": "slow"},
                                   annotations={**WRR, "kube-ipvs.io/slow-start": slow_start}))


# A pod that will be ready in an hour, by a clock that differs from ours, counts as new: it has become ready when we saw
# it. Of 600 s the first 60 are a tenth.
def case_a_new_pod_starts_with_a_tenth_of_its_weight_and_grows_to_the_full(lab):
    url, server = "http://10.96.9.4", "TCP 10.96.9.4:80"
    use_agent(lab)
    slow_pods(lab)
    slow_service(lab, "600")
    lab.served("10.96.9.4", 80, f"{FIRST}:80")
    assert has_weights(lab, server, first=100)
    slow_pods(lab, HOUR)
    wait_until("it has a tenth", 20, lambda: has_weights(lab, server, first=100, second=10))
    splits(lab, url, 22, first=20, second=2)
    slow_pods(lab, 0)
    slow_service(lab, "20")
    steps = weights_until_100(lab, server, f"{SECOND}:80")
    show("its weights:", *steps)
    assert len(steps) >= 4 and steps[0] < 60
    assert has_weights(lab, server, first=100, second=100)
    splits(lab, url, 20, first=10, second=10)
    holds_for(3, lambda: has_weights(lab, server, first=100, second=100))


# --- endpoints that are not ready or being deleted -------------------------------------------------------------------

DRAINING = {"app": "draining"}


def draining_pods(lab, **state_of_first):
    """The second is ready."""
    lab.write("case-pods.yaml", pod("draining-1", 14, DRAINING, **state_of_first), pod("draining-2", 15, DRAINING))


def connect_to_the_first(lab, address, drain_timeout=None):
    """A connection to a Service at this address, which leads to its one endpoint."""
    annotations = {"kube-ipvs.io/drain-timeout": drain_timeout} if drain_timeout else None
    lab.write("case-pods.yaml", pod("draining-1", 14, DRAINING))
    lab.write("case.yaml", service("draining", address, DRAINING, port=ECHO, annotations=annotations))
    lab.served(address, 7, f"{FIRST}:7")
    connection = lab["client"].connect(address, 7)
    assert connection.server == "first"
    return connection


def drains(lab, address, connection):
    """The first pod gets no new connections, and keeps the open one."""
    wait_until("the endpoint drains", 15, lambda: has_weights(lab, f"TCP {address}:7", first=0, second=1))
    assert connection.works()


def wait_until_deleted(lab, address, seconds):
    wait_until("the endpoint is deleted", seconds, lambda: has_weights(lab, f"TCP {address}:7", second=1))


def case_a_connection_to_a_pod_that_is_not_ready_lasts_until_the_drain_timeout_and_no_longer(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.5", drain_timeout="15")
    draining_pods(lab, ready=False, since=0)
    drains(lab, "10.96.9.5", connection)
    wait_until_deleted(lab, "10.96.9.5", 60)
    assert not connection.works(4)


def case_without_a_drain_timeout_a_connection_to_a_pod_that_is_not_ready_lasts_as_long_as_the_pod(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.6")
    draining_pods(lab, ready=False, since=-HOUR)
    drains(lab, "10.96.9.6", connection)
    holds_for(5, connection.works)
    drains(lab, "10.96.9.6", connection)
    lab.write("case-pods.yaml", pod("draining-2", 15, DRAINING))
    wait_until_deleted(lab, "10.96.9.6", 90)
    assert not connection.works(4)


def case_a_pod_that_is_ready_again_gets_its_weight_back_and_keeps_its_connections(lab):
    server = "TCP 10.96.9.7:7"
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.7", drain_timeout="600")
    draining_pods(lab, ready=False, since=0)
    drains(lab, "10.96.9.7", connection)
    draining_pods(lab, ready=True, since=0)
    wait_until("it is back", 20, lambda: has_weights(lab, server, first=1, second=1))
    holds_for(4, connection.works)
    assert has_weights(lab, server, first=1, second=1)


def case_with_a_drain_timeout_of_0_a_connection_ends_with_its_endpoint(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.8", drain_timeout="0")
    draining_pods(lab, ready=False, since=0)
    wait_until_deleted(lab, "10.96.9.8", 20)
    assert not connection.works(4)


def case_a_connection_to_a_pod_that_is_being_deleted_lasts_for_its_grace_period(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.9")
    draining_pods(lab, deleted_in=15, grace=15)
    drains(lab, "10.96.9.9", connection)
    wait_until_deleted(lab, "10.96.9.9", 60)
    assert not connection.works(4)


# F1: by the API server's clock, the grace period was over a minute ago.
def case_a_connection_to_a_pod_that_is_being_deleted_is_not_cut_because_the_node_s_clock_is_ahead(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.9")
    draining_pods(lab, deleted_in=-60, grace=600)
    drains(lab, "10.96.9.9", connection)
    holds_for(8, connection.works)
    drains(lab, "10.96.9.9", connection)


def case_a_connection_to_a_pod_that_is_being_deleted_lasts_for_the_drain_timeout_instead_where_there_is_one(lab):
    use_agent(lab)
    connection = connect_to_the_first(lab, "10.96.9.10", drain_timeout="600")
    draining_pods(lab, deleted_in=-1, grace=1)
    drains(lab, "10.96.9.10", connection)
    holds_for(4, connection.works)
    drains(lab, "10.96.9.10", connection)


def case_where_only_terminating_pods_are_left_they_keep_serving_with_both_policies(lab):
    ending = {"app": "ending"}
    use_agent(lab)
    lab.write("case-pods.yaml", pod("ending-1", 11, ending, deleted_in=HOUR, grace=HOUR))
    for policy in ("Cluster", "Local"):
        lab.write("case.yaml", load_balancer("ending", "10.96.9.11", ending, ["192.0.2.141"], node_port=30141,
                                             internalTrafficPolicy=policy, externalTrafficPolicy=policy))
        lab.served("192.0.2.141", 80, POD_1)
        lab["client"].reaches("http://10.96.9.11", "pod-1")
        lab.node.reaches("http://10.96.9.11", "pod-1")
        lab.outside.reaches("http://192.0.2.141", "pod-1")
        lab.outside.reaches("http://203.0.113.1:30141", "pod-1")
