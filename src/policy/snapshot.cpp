#include "policy/snapshot.hpp"

namespace tokenring {

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
  return std::make_shared<Tallies>(
      Tallies{.nodes = {workers, std::move(nodes), of(&Tallies::nodes)},
              .spaces = {workers, spaces, of(&Tallies::spaces)},
              .keys = {workers, std::move(keys), of(&Tallies::keys)},
              .latencies = {workers, std::move(spaces), of(&Tallies::latencies)},
              .introspections = {1, std::move(endpoints), of(&Tallies::introspections)}});
}

}  // namespace tokenring
