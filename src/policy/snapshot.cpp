#include "policy/snapshot.hpp"

#include <algorithm>

namespace tokenring {

namespace {

// The columns of Tallies::times, and which of them is whose.
std::vector<std::string> time_columns(const Snapshot& snapshot, std::vector<std::uint16_t>& of) {
  const auto spaces = snapshot.namespaces.all();
  if (spaces.size() < 2 && (spaces.empty() || spaces[0].prefix.empty())) return {};
  std::vector<std::uint16_t> order;
  for (const Namespace& space : spaces) order.push_back(space.place);
  std::sort(order.begin(), order.end());
  const std::size_t last = std::min(Tallies::kTimedSpaces, order.size()) - 1;
  std::vector<std::string> names;
  std::size_t others = SIZE_MAX;
  for (const Namespace& space : spaces) {
    const std::string label = namespace_label(space.prefix);
    const bool is_named = space.place <= order[last] && label != Tallies::kOtherSpaces;
    if (!is_named && others != SIZE_MAX) {
      of.push_back(static_cast<std::uint16_t>(others));
      continue;
    }
    if (!is_named) others = names.size();
    of.push_back(static_cast<std::uint16_t>(names.size()));
    names.push_back(is_named ? label : std::string(Tallies::kOtherSpaces));
  }
  return names;
}

}  // namespace

std::string namespace_label(std::string_view prefix) {
  const bool only_dashes = prefix.find_first_not_of('-') == std::string_view::npos;
  return only_dashes ? std::string(prefix) + '-' : std::string(prefix);
}

std::shared_ptr<Tallies> make_tallies(std::size_t workers, const Snapshot& snapshot,
                                      const Tallies* before) {
  std::vector<std::string> nodes;
  std::vector<std::string> spaces;
  std::vector<std::string> keys;
  std::vector<std::string> endpoints;
  for (const Pool& pool : snapshot.pools)
    for (const NodeSpec& node : pool.nodes)
      nodes.push_back(pool.name + '\n' + node.name + '\n' + node.address);
  for (const Namespace& space : snapshot.namespaces.all()) spaces.push_back(space.prefix);
  if (snapshot.keyring != nullptr)
    for (std::size_t n = 0; n < snapshot.keyring->master_count(); ++n)
      keys.push_back(std::to_string(snapshot.keyring->key_id(n)));
  for (const auto& endpoint : snapshot.introspections) endpoints.push_back(endpoint->name);
  const auto of = [before](auto member) {
    return before == nullptr ? nullptr : &(before->*member);
  };
  std::vector<std::uint16_t> columns;
  std::vector<std::string> times = time_columns(snapshot, columns);
  return std::make_shared<Tallies>(
      Tallies{.nodes = {workers, std::move(nodes), of(&Tallies::nodes)},
              .spaces = {workers, spaces, of(&Tallies::spaces)},
              .keys = {workers, std::move(keys), of(&Tallies::keys)},
              .latencies = {workers, std::move(spaces), of(&Tallies::latencies)},
              .introspections = {1, std::move(endpoints), of(&Tallies::introspections)},
              .times = {workers, std::move(times), of(&Tallies::times)},
              .time_columns = std::move(columns)});
}

}  // namespace tokenring
