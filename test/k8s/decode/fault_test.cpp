// SPDX-License-Identifier: Apache-2.0
//
// Invalid fields, objects and documents, and the faults that name the object and the field.
#include <catch2/catch_test_macros.hpp>

#include "k8s/decode/decode.hpp"

namespace {

using namespace k8s;

struct Row {
  std::string json;  // what follows the metadata
  std::string field;
  std::string reason;
  bool is_refused = false;  // the whole object
};

template <typename T>
void check(std::string_view kind, const std::vector<Row>& rows) {
  const std::string object = std::string(kind) + " shop/web";
  for (const Row& row : rows) {
    // The metadata comes last: the name must be known even if the fault came before it.
    const auto result =
        decode_object<T>("{" + row.json + R"(,"metadata":{"name":"web","namespace":"shop"}})");
    INFO(row.json);
    const DecodeFault& fault = row.is_refused ? result.fault : result.left_out;
    CHECK(fault.object == object);
    CHECK(fault.field == row.field);
    CHECK(fault.reason == row.reason);
  }
}

std::string port(const std::string& fields) { return R"("spec":{"ports":[{)" + fields + "}]}"; }
std::string spec(const std::string& fields) { return R"("spec":{)" + fields + "}"; }

}  // namespace

TEST_CASE("an invalid field of a Service is left out and named") {
  check<Service>(
      "Service",
      {
          {port(R"("port":70000)"), "spec.ports[0].port", "70000 is not a port number (1-65535)"},
          {port(R"("port":0)"), "spec.ports[0].port", "0 is not a port number (1-65535)"},
          {port(R"("port":"80")"), "spec.ports[0].port", "a string where an integer belongs"},
          {port(R"("port":80.5)"), "spec.ports[0].port",
           "a fraction or a number out of range where an integer belongs"},
          {port(R"("port":18446744073709551615)"), "spec.ports[0].port",
           "a fraction or a number out of range where an integer belongs"},
          {port(R"("port":[80])"), "spec.ports[0].port", "an array where an integer belongs"},
          {port(R"("port":{"a":[]})"), "spec.ports[0].port", "an object where an integer belongs"},
          {port(R"("name":"a")"), "spec.ports[0].port", "missing"},
          {port(R"("port":80,"protocol":"tcp")"), "spec.ports[0].protocol",
           "\"tcp\" is not a protocol (TCP, UDP, SCTP)"},
          {port(R"("port":80,"nodePort":-1)"), "spec.ports[0].nodePort",
           "-1 is not a port number (0-65535)"},
          {port(R"("port":80,"targetPort":65536)"), "spec.ports[0].targetPort",
           "65536 is not a port number (0-65535)"},
          {port(R"("port":80,"targetPort":"80")"), "spec.ports[0].targetPort",
           "\"80\" is not a port name"},
          {port(R"("port":80,"targetPort":true)"), "spec.ports[0].targetPort",
           "a boolean where an integer or a string belongs"},
          {port(R"("port":80,"name":"Web")"), "spec.ports[0].name",
           "\"Web\" is not a port name (RFC 1123 label)"},
          {port(R"("port":80,"port":81)"), "spec.ports[0].port", "given twice"},
          {spec(R"("ports":[{"port":80},{"port":81}])"), "spec.ports[1].name",
           "the same as that of spec.ports[0]"},
          {spec(R"("ports":[{"name":"a","port":80},{"name":"c","port":1},{"name":"b","port":80}])"),
           "spec.ports[2].port", "the same as that of spec.ports[0]"},
          {spec(
               R"("ports":[{"name":"a","port":1,"nodePort":9},{"name":"b","port":2,"nodePort":9}])"),
           "spec.ports[1].nodePort", "the same as that of spec.ports[0]"},
          {spec(R"("ports":[80])"), "spec.ports[0]", "a number where an object belongs"},
          {spec(R"("ports":[{"port":80},null])"), "spec.ports[1]", "null where an object belongs"},
          {spec(R"("ports":{"port":80})"), "spec.ports", "an object where an array belongs"},
          {spec(R"("ports":"80")"), "spec.ports", "a string where an array belongs"},
          {spec(R"("type":"Cluster")"), "spec.type",
           "\"Cluster\" is not a type (ClusterIP, NodePort, LoadBalancer, ExternalName)"},
          {spec(R"("type":"ExternalName","externalName":"Www.example.com")"), "spec.externalName",
           "\"Www.example.com\" is not a DNS name (RFC 1123 subdomain)"},
          {spec(R"("type":"ExternalName","externalName":"a..b")"), "spec.externalName",
           "\"a..b\" is not a DNS name (RFC 1123 subdomain)"},
          {spec(R"("clusterIPs":["10.0.0.1","10.0.0"])"), "spec.clusterIPs[1]",
           "\"10.0.0\" is not an IP address"},
          {spec(R"("clusterIPs":["None","10.0.0.1"])"), "spec.clusterIPs",
           "None must be the only entry"},
          {spec(R"("externalIPs":["fe80::1%eth0"])"), "spec.externalIPs[0]",
           "\"fe80::1%eth0\" is not an IP address (a scope id is not allowed)"},
          {spec(R"("externalIPs":["127.0.0.1"])"), "spec.externalIPs[0]",
           "127.0.0.1 cannot be used here (loopback)"},
          {spec(R"("externalIPs":[7])"), "spec.externalIPs[0]", "a number where a string belongs"},
          {spec(R"("sessionAffinity":"Client")"), "spec.sessionAffinity",
           "\"Client\" is not a session affinity (None, ClientIP)"},
          {spec(R"("sessionAffinityConfig":{"clientIP":{"timeoutSeconds":86401}})"),
           "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
           "86401 is not a timeout (1-86400)"},
          {spec(R"("internalTrafficPolicy":"local")"), "spec.internalTrafficPolicy",
           "\"local\" is not a traffic policy (Cluster, Local)"},
          {spec(R"("loadBalancerSourceRanges":["10.0.0.0/33"])"),
           "spec.loadBalancerSourceRanges[0]",
           "\"10.0.0.0/33\" is not a CIDR (the prefix length is 0-32)"},
          {spec(R"("healthCheckNodePort":65536)"), "spec.healthCheckNodePort",
           "65536 is not a port number (0-65535)"},
          {spec(R"("publishNotReadyAddresses":"true")"), "spec.publishNotReadyAddresses",
           "a string where a boolean belongs"},
          {spec(R"("selector":{"app":1})"), "spec.selector[\"app\"]",
           "a number where a string belongs"},
          {spec(R"("selector":{"a\nb":{}})"), "spec.selector[\"a\\x0ab\"]",
           "an object where a string belongs"},
          {spec(R"("selector":["app"])"), "spec.selector", "an array where an object belongs"},
          {R"("spec":7)", "spec", "a number where an object belongs"},
          {R"("status":{"loadBalancer":{"ingress":[{"ip":"x"}]}})",
           "status.loadBalancer.ingress[0].ip", "\"x\" is not an IP address"},
          {R"("kind":"Pod")", "kind", "\"Pod\" where Service belongs", true},
          {R"("apiVersion":"serving.knative.dev/v1")", "apiVersion",
           "\"serving.knative.dev/v1\" is not served by this reader", true},
      });
}

TEST_CASE("an invalid field of a Pod is left out and named") {
  check<Pod>(
      "Pod",
      {
          {R"("spec":{"containers":[{"ports":[{"containerPort":0}]}]})",
           "spec.containers[0].ports[0].containerPort", "0 is not a port number (1-65535)"},
          {R"("spec":{"initContainers":[{},{"ports":[{"name":"x"}]}]})",
           "spec.initContainers[1].ports[0].containerPort", "missing"},
          {R"("spec":{"hostname":"Pet"})", "spec.hostname", "\"Pet\" is not an RFC 1123 label"},
          {R"("spec":{"subdomain":"a.b"})", "spec.subdomain", "\"a.b\" is not an RFC 1123 label"},
          {R"("spec":{"hostNetwork":1})", "spec.hostNetwork", "a number where a boolean belongs"},
          {R"("status":{"podIPs":[{"ip":"10.0.0.1"},{"ip":""}]})", "status.podIPs[1].ip",
           "\"\" is not an IP address"},
          {R"("status":{"podIPs":[{}]})", "status.podIPs[0].ip", "missing"},
          {R"("status":{"podIP":"10.256.0.1"})", "status.podIP",
           "\"10.256.0.1\" is not an IP address"},
          {R"("status":{"phase":"Sleeping"})", "status.phase",
           "\"Sleeping\" is not a phase (Pending, Running, Succeeded, Failed, Unknown)"},
      });
}

TEST_CASE("an invalid field of an EndpointSlice is left out and named") {
  check<EndpointSlice>(
      "EndpointSlice",
      {
          {R"("addressType":"IPX")", "addressType",
           "\"IPX\" is not an address type (IPv4, IPv6, FQDN)"},
          {R"("endpoints":[])", "addressType", "missing"},
          {R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]},{"addresses":[]}])",
           "endpoints[1].addresses", "missing"},
          {R"("endpoints":[{"addresses":["web"]}],"addressType":"IPv4")",
           "endpoints[0].addresses[0]", "\"web\" is not an IP address"},
          {R"("addressType":"IPv6","endpoints":[{"addresses":["10.0.0.1"]}])", "endpoints",
           "10.0.0.1 in a slice of addressType IPv6"},
          {R"("addressType":"IPv4","endpoints":[{"addresses":["169.254.169.254"]}])",
           "endpoints[0].addresses[0]", "169.254.169.254 cannot be used here (link-local)"},
          {R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":"no"}}])",
           "endpoints[0].conditions.ready", "a string where a boolean belongs"},
          {R"("addressType":"IPv4","ports":[{"name":"a","port":1},{"name":"a","port":2}])", "ports",
           "two are named \"a\""},
          {R"("addressType":"IPv4","ports":[{"port":65536}])", "ports[0].port",
           "65536 is not a port number (0-65535)"},
          {R"("addressType":"IPv4","ports":[{"port":0},{"port":-1}])", "ports[1].port",
           "-1 is not a port number (0-65535)"},
      });
}

TEST_CASE("invalid metadata is refused") {
  const auto fault = [](const std::string& metadata) {
    return decode_object<Node>(R"({"metadata":)" + metadata + "}").fault.text();
  };
  CHECK(fault("{}") == "Node: metadata.name: missing");
  CHECK(fault("[]") == "Node: metadata: an array where an object belongs");
  CHECK(fault(R"({"name":"a/b"})") ==
        "Node \"a/b\": metadata.name: \"a/b\" is not an object name (RFC 1123 subdomain)");
  CHECK(fault(R"({"name":"n","namespace":"A"})") ==
        "Node \"A/n\": metadata.namespace: \"A\" is not a namespace (RFC 1123 label)");
  CHECK(fault(R"({"name":7})") == "Node: metadata.name: a number where a string belongs");
  CHECK(fault(R"({"name":"n","namespace":7})") ==
        "Node n: metadata.namespace: a number where a string belongs");
  CHECK(fault(R"({"name":"n","name":"m"})") == "Node n: metadata.name: given twice");
  CHECK(decode_object<Node>(R"({"metadata":{"name":"n","creationTimestamp":"yesterday"}})")
            .left_out.text() ==
        "Node n: metadata.creationTimestamp: \"yesterday\" is not an RFC 3339 time");
}

TEST_CASE("of several faults the first is reported, with the number of the others") {
  const auto result =
      decode_object<Service>(R"({"metadata":{"name":"web"},"spec":{"type":"A","clusterIP":"B"}})");
  CHECK(result.left_out.field == "spec.type");
  CHECK(result.left_out.reason.ends_with(" (and 1 more)"));
}

TEST_CASE("text that is not JSON is refused with the byte of the error") {
  const auto fault = [](std::string_view json) { return decode_object<Pod>(json).fault.text(); };
  CHECK(fault("") == "not JSON: it ends inside the document");
  CHECK(fault(R"({"metadata":{)") == "not JSON: it ends inside the document");
  CHECK(fault(R"({"metadata":}})") == "not JSON: syntax error at byte 12");
  CHECK(fault(R"({"metadata":{"name":"a"}} {})") ==
        "not JSON: more text after the document at byte 26");
  CHECK(fault("[]") == "Pod: an array where an object belongs");
  CHECK(fault("7 ") == "Pod: a number where an object belongs");
  CHECK(fault("{\"a\":\"\xff\"}") == "not JSON: syntax error at byte 6");
}

TEST_CASE("strings, keys and arrays that are kept have a limit, skipped ones have none") {
  const std::string large(100'000, 'x');
  const auto with_node = [](const std::string& spec_fields) {
    return decode_object<Pod>(R"({"metadata":{"name":"p"},"spec":{)" + spec_fields + "}}")
        .left_out.text();
  };
  CHECK(with_node(R"("nodeName":")" + large + "\"") ==
        "Pod p: spec.nodeName: a string of more than 65536 bytes");
  CHECK(with_node(R"("schedulerName":")" + large + "\"").empty());
  CHECK(with_node("\"" + large + R"(":{"nodeName":[]})").empty());

  std::string labels = R"({"metadata":{"name":"p","labels":{")" + large + R"(":"x"}}})";
  CHECK(decode_object<Pod>(labels).left_out.text() ==
        "Pod p: metadata.labels: a key of more than 512 bytes");

  std::string many = "\"containers\":[{}";
  for (int i = 0; i < 16384; ++i) many += ",{}";
  CHECK(with_node(many + "]") == "Pod p: spec.containers[16384]: more than 16384 elements");

  const std::string annotation =
      R"({"metadata":{"name":"p","annotations":{"kubectl.kubernetes.io/last-applied-configuration":")" +
      large + R"("}}})";
  CHECK(decode_object<Pod>(annotation).left_out.text().empty());
}

TEST_CASE("more than 64 levels of nesting are refused, also in a skipped value") {
  const auto nested = [](std::size_t levels) {
    const std::string json = R"({"metadata":{"name":"p"},"x":)" + std::string(levels - 1, '[') +
                             std::string(levels - 1, ']') + "}";
    return decode_object<Pod>(json).fault.text();
  };
  CHECK(nested(64).empty());
  CHECK(nested(65).starts_with("not JSON: too deep"));
}
