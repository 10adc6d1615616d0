// Who the simulated clients are, where they are asked: what each may, and whose keys it has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/identity.hpp"
#include "policy/snapshot.hpp"

namespace tokenring::sim {

enum class Kind : std::uint8_t {
  kSharing,  // May all, with the keys of all.
  kLimited,  // May nothing in the capped namespace, where everything is hidden from it.
  kHashed,   // As kSharing; its password is a salted hash.
  kOwner,    // Its keys are its own.
};
[[nodiscard]] constexpr Kind kind_of(std::uint32_t client) {
  return static_cast<Kind>(client % 4);
}

[[nodiscard]] std::string user_of(std::uint32_t client);
[[nodiscard]] std::string password_of(std::uint32_t client);
// What nodes find in front of a client's keys.
[[nodiscard]] std::string mark_of(std::uint32_t client);
[[nodiscard]] Peer peer_of(std::uint32_t client);
// The client whose key it is, by its name.
[[nodiscard]] std::uint32_t writer_of(std::string_view key);
// Whether that client may ever see a value of the key.
[[nodiscard]] bool may_see(std::uint32_t client, std::string_view key);

// The owners' namespaces, each as the shared one that it is a copy of.
void add_owned_spaces(std::uint32_t clients, std::vector<Namespace>& spaces);
// REQUIRES: the snapshot's namespaces.
void ask_who(std::uint32_t clients, Snapshot& snapshot);

}  // namespace tokenring::sim
