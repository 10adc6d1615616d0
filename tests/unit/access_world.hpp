// A proxy that asks its clients who they are, before an embedded node, in memory.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../wire/rig.hpp"
#include "seal_kit.hpp"
#include "store/embedded_node.hpp"
#include "wire/drained.hpp"

namespace tokenring::access_kit {

using seal_kit::keyring_of;
using seal_kit::kKeyFile;
using test::Rig;
using test::RigOptions;

inline constexpr std::string_view kDenied = "CLIENT_ERROR access denied\r\n";
inline constexpr std::string_view kFailure = "CLIENT_ERROR authentication failure\r\n";
inline constexpr Rights kAll{31};

inline std::shared_ptr<const UserBook> users_of(std::string_view text) {
  static const auto key = std::make_shared<const HmacKey>(std::array<unsigned char, 32>{9});
  return UserBook::parse(text, "users", key).value();
}

inline Identity identity(std::string name, Owner owner = 0) {
  Identity identity;
  identity.name = name;
  identity.recognition.users = {name};
  identity.owner = owner;
  if (owner != 0) identity.mark = name + "/";
  return identity;
}

inline Namespace space_of(std::string prefix, Owner owner = 0) {
  Namespace space;
  space.prefix = std::move(prefix);
  space.owner = owner;
  if (owner != 0) space.mark_bytes = static_cast<std::uint16_t>(space.prefix.find('/') + 1);
  return space;
}

// Namespaces "", "s:" and, for the owners 1 and 2 ("one", "two"), theirs; rights by prefix.
struct Setup {
  std::string users = "one:pw\ntwo:pw\nreader:pw\n";
  std::vector<Identity> identities;
  std::function<Rights(const Identity&, std::string_view prefix)> rights =
      [](const Identity&, std::string_view) { return kAll; };
  bool seals = false;
  bool coalesces = false;
  std::shared_ptr<const AccessTable> before = nullptr;

  void apply(Snapshot& snapshot) const {
    std::vector<Namespace> spaces{space_of(""), space_of("s:")};
    for (const Identity& one : identities)
      if (one.owner != 0) spaces.push_back(space_of(one.mark, one.owner));
    for (Namespace& space : spaces) {
      space.coalesce = coalesces;
      if (seals) space.seal.mode = SealMode::kRequire;
    }
    snapshot.namespaces = NamespaceTable(std::move(spaces));
    std::vector<std::string> names;
    for (const Namespace& space : snapshot.namespaces.all()) names.push_back(space.prefix);
    if (seals) {
      snapshot.keyring = keyring_of(kKeyFile);
      snapshot.keys = NamespaceKeys::derive(*snapshot.keyring, names);
    }
    std::vector<Identity> all = identities;
    for (Identity& one : all) {
      one.everywhere = rights(one, "*");
      for (const Namespace& space : snapshot.namespaces.all())
        one.rights.push_back(space.owner == one.owner ? rights(one, space.prefix) : Rights());
    }
    snapshot.identifies = {true};
    snapshot.access =
        std::make_shared<const AccessTable>(std::move(all), users_of(users), 5, before.get());
  }
};

class World {
 public:
  explicit World(const Setup& setup, std::function<Peer(unsigned)> peer = {})
      : node_(StoreOptions{.bytes_max = std::size_t{8} << 20}), rig_(options(setup, peer)) {}

  Rig& rig() noexcept { return rig_; }
  void adopt(const Setup& setup) { rig_.adopt(options(setup, {})); }

  std::string ask(std::string_view request, unsigned client = 0) {
    rig_.client_send(client, request);
    return hear(client);
  }
  std::string hear(unsigned client = 0) {
    for (int i = 0; i < 1'000; ++i) {
      rig_.turn();
      if (rig_.node(0).inbox.empty()) break;
      seen_by_node += rig_.node(0).inbox;
      rig_.node_send(0, serve());
    }
    return std::exchange(rig_.client(client).inbox, {});
  }
  void log_in(std::string_view user, unsigned client = 0, std::string_view password = "pw") {
    REQUIRE(ask(login(user, password), client) == "STORED\r\n");
  }
  static std::string login(std::string_view user, std::string_view password) {
    return fmt::format("set a 0 0 {}\r\n{} {}\r\n", user.size() + 1 + password.size(), user,
                       password);
  }
  void check_logins() {
    for (LoginJob& job : std::exchange(rig_.logins(), {})) {
      job.check();
      rig_.engine().login_checked(std::move(job), rig_.now());
    }
  }
  std::vector<AccessEvent> events() { return std::exchange(rig_.access_events(), {}); }

  std::string seen_by_node;

 private:
  static RigOptions options(const Setup& setup, const std::function<Peer(unsigned)>& peer) {
    RigOptions options;
    options.adjust = [setup](Snapshot& snapshot) { setup.apply(snapshot); };
    options.peer = peer;
    return options;
  }
  std::string serve() {
    std::string& inbox = rig_.node(0).inbox;
    OutQueue out;
    inbox.erase(0, node_.serve(inbox, rig_.now().unix_time, out, pool_));
    return drained(out);
  }

  BufferPool pool_;
  EmbeddedNode node_;
  Rig rig_;
};

}  // namespace tokenring::access_kit
