// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/explain.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <variant>

#include "agent/answers/clients.hpp"
#include "agent/answers/entrance_names.hpp"
#include "agent/answers/packet_way.hpp"
#include "agent/answers/service_targets.hpp"
#include "ipvs/nftables/rules.hpp"

namespace agent {
namespace {

class Answer {
 public:
  Answer(const Question& question, const ExplainView& view, std::vector<Client> clients)
      : question_(question),
        view_(view),
        clients_(std::move(clients)),
        rules_(ipvs::table_rules(view.rules)) {}

  boost::system::result<Explanation, BadQuestion> answer() {
    auto targets = find_targets(question_, view_);
    if (!targets) return targets.error();
    explanation_.notes = std::move(targets->notes);
    for (const Target& target : targets->all) add(target);
    if (explanation_.ways.empty() && !targets->all.empty()) {
      return BadQuestion{.what = "from: it has no address of the family of " +
                                 targets->all.front().to.address.to_string()};
    }
    return std::move(explanation_);
  }

 private:
  // The client, with its address of the target's family.
  void add(const Target& target) {
    const ipvs::Family family = ipvs::family_of(target.to.address);
    for (const Client& client : clients_) {
      if (client.source && ipvs::family_of(*client.source) != family) continue;
      if (explanation_.ways.size() == kMostWays) {
        ++explanation_.omitted;
      } else {
        explanation_.ways.push_back(
            follow_packet(target.to, target.protocol, client, rules_, view_));
      }
      return;
    }
  }

  const Question& question_;
  const ExplainView& view_;
  const std::vector<Client> clients_;
  const std::vector<ipvs::Rule> rules_;
  Explanation explanation_;
};

}  // namespace

boost::system::result<Explanation, BadQuestion> explain(const Question& question,
                                                        const ExplainView& view) {
  auto clients = clients_of(question.from, view);
  if (!clients) return clients.error();
  return Answer(question, view, std::move(*clients)).answer();
}

}  // namespace agent
