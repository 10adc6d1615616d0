// What tests over a Rig say and hear, a turn at a time.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "rig.hpp"

namespace tokenring::test {

// What the node has been sent, taken.
inline std::string heard(Rig& rig, unsigned link) {
  return std::exchange(rig.node(link).inbox, {});
}

// What the client has been told, taken.
inline std::string told(Rig& rig, unsigned client) {
  return std::exchange(rig.client(client).inbox, {});
}

inline void ask(Rig& rig, unsigned client, std::string_view bytes) {
  rig.client_send(client, bytes);
  rig.turn();
}

inline void say(Rig& rig, unsigned link, std::string_view bytes) {
  rig.node_send(link, bytes);
  rig.turn();
}

}  // namespace tokenring::test
