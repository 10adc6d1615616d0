// A proxy with sealed values before an embedded node, where each step of each flow can go wrong.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../wire/rig.hpp"
#include "seal_kit.hpp"
#include "store/embedded_node.hpp"
#include "wire/drained.hpp"

namespace tokenring::sealed_world {

using seal_kit::keyring_of;
using seal_kit::kKeyFile;
using seal_kit::kRotatedKeyFile;
using seal_kit::SeededEntropy;
using test::Rig;
using test::RigOptions;

inline Namespace unsealed(std::string prefix) {
  Namespace space;
  space.prefix = std::move(prefix);
  return space;
}

inline void seal_all(Snapshot& snapshot, std::string_view keys = kKeyFile, TokenRules tokens = {}) {
  snapshot.keyring = keyring_of(keys);
  Namespace space = unsealed("");
  space.seal.mode = SealMode::kRequire;
  space.seal.blind_keys = true;
  space.tokens = tokens;
  snapshot.namespaces = NamespaceTable({space});
  snapshot.keys = NamespaceKeys::derive(*snapshot.keyring, std::vector<std::string>{""});
  snapshot.has_blind_keys = true;
  snapshot.has_revocation = tokens.revokes();
}

// A proxy whose only node is an embedded one; what comes of its requests goes back when asked for.
class World {
 public:
  explicit World(TokenRules tokens = {})
      : World(std::make_shared<EmbeddedNode>(StoreOptions{.bytes_max = std::size_t{8} << 20}),
              tokens) {}
  World(std::shared_ptr<EmbeddedNode> node, TokenRules tokens, std::uint64_t seed = 1)
      : tokens_(tokens),
        entropy_(seed),
        node_(std::move(node)),
        rig_(with_seal(entropy_, tokens)) {}
  // Another proxy before the same node.
  [[nodiscard]] std::unique_ptr<World> another() const {
    return std::make_unique<World>(node_, tokens_, 2);
  }

  [[nodiscard]] const TokenRules& tokens() const noexcept { return tokens_; }
  Rig& rig() noexcept { return rig_; }
  SeededEntropy& entropy() noexcept { return entropy_; }

  // What the node answers to what has come to it; a part of a request stays there.
  std::string serve() {
    std::string& inbox = rig_.node(0).inbox;
    std::string replies;
    while (true) {
      OutQueue out;
      const std::size_t done = node_->serve(inbox, rig_.now().unix_time, out, pool_);
      replies += drained(out);
      if (done == 0) return replies;
      inbox.erase(0, done);
    }
  }
  // Until nobody has anything to say.
  void run() {
    for (int i = 0; i < 10'000; ++i) {
      rig_.turn();
      if (rig_.node(0).inbox.empty()) return;
      rig_.node_send(0, serve());
    }
    FAIL("it does not end");
  }
  std::string ask(std::string_view request, unsigned client = 0) {
    rig_.client_send(client, request);
    run();
    return std::exchange(rig_.client(client).inbox, {});
  }
  void check_nothing_is_left() {
    rig_.leave();
    CHECK(rig_.engine().slot_count() == 0);
    CHECK(rig_.engine().sealing_count() == 0);
    CHECK(rig_.engine().in_flight() == 0);
    CHECK(rig_.engine().pool().bytes_lent() == 0);
  }

 private:
  static RigOptions with_seal(Entropy& entropy, TokenRules tokens) {
    RigOptions options;
    options.entropy = &entropy;
    options.pool.request_timeout_ms = 100;
    options.adjust = [tokens](Snapshot& snapshot) { seal_all(snapshot, kKeyFile, tokens); };
    return options;
  }

  TokenRules tokens_;
  SeededEntropy entropy_;
  BufferPool pool_;
  std::shared_ptr<EmbeddedNode> node_;
  Rig rig_;
};

struct Script {
  std::string_view name;
  std::string_view request;   // The last reply is that of the mn.
  std::string_view expected;  // Without a failure.
};

// What goes wrong when the node has been sent something for the nth time.
struct Trouble {
  std::string_view name;
  std::function<void(World&)> make;
  bool loses_replies = true;  // Else all is answered as if nothing had been.
};

inline const std::vector<Trouble>& troubles() {
  static const std::vector<Trouble> all = {
      {"the link is lost before", [](World& world) { world.rig().node_close(0); }},
      {"the link is lost after",
       [](World& world) {
         static_cast<void>(world.serve());
         world.rig().node_close(0);
       }},
      {"too late",
       [](World& world) {
         const std::string replies = world.serve();
         world.rig().advance(150);
         world.rig().node_send(0, replies);
       }},
      {"never served",
       [](World& world) {
         world.rig().node(0).inbox.clear();
         world.rig().advance(400);
         world.rig().node_close(0);
       }},
      {"half a reply",
       [](World& world) {
         const std::string replies = world.serve();
         world.rig().node_send(0, replies.substr(0, replies.size() / 2));
         world.rig().node_close(0);
       }},
      {"nonsense", [](World& world) { world.rig().node_send(0, "HD\r\nVA 1\r\n"); }},
      {"an error",
       [](World& world) {
         world.rig().node_send(0, "SERVER_ERROR out of memory\r\n");
         world.rig().node_close(0);
       }},
      {"no entropy", [](World& world) { world.entropy().fails = true; }},
      {"the client leaves", [](World& world) { world.rig().client_close(0); }},
      {"the client ends", [](World& world) { world.rig().client_end(0); }, false},
      {"the sealing ends",
       [](World& world) {
         auto plain = std::make_shared<Snapshot>(world.rig().snapshot());
         plain->namespaces = NamespaceTable({unsealed("")});
         plain->keys = nullptr;
         world.rig().adopt(plain);
       }},
      {"the namespace ends",
       [](World& world) {
         auto other = std::make_shared<Snapshot>(world.rig().snapshot());
         other->namespaces = NamespaceTable({unsealed("other:")});
         other->keys = nullptr;
         world.rig().adopt(other);
       }},
      {"other keys",
       [](World& world) {
         auto rotated = std::make_shared<Snapshot>(world.rig().snapshot());
         seal_all(*rotated, kRotatedKeyFile, world.tokens());
         world.rig().adopt(rotated);
       },
       false},
  };
  return all;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end; (end = text.find("\r\n")) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 2);
  }
  CHECK(text.empty());
  return lines;
}

// Whatever step fails, every request is answered once and in order, and nothing is left behind.
// `before` is what was done before the script.
inline void check_every_step(std::span<const Script> scripts, TokenRules tokens,
                             std::string_view before, std::string_view before_said) {
  for (const Script& script : scripts) {
    for (const Trouble& trouble : troubles()) {
      for (int at = 0; at < 8; ++at) {
        CAPTURE(script.name);
        CAPTURE(trouble.name);
        CAPTURE(at);
        World world(tokens);
        REQUIRE(world.ask(before) == before_said);
        world.rig().client_send(0, script.request);
        world.rig().turn();
        int exchanges = 0;
        for (; exchanges < at && !world.rig().node(0).inbox.empty(); ++exchanges) {
          world.rig().node_send(0, world.serve());
          world.rig().turn();
        }
        const bool is_over = world.rig().node(0).inbox.empty();
        if (!is_over) trouble.make(world);
        world.run();
        world.rig().advance(2000);
        world.run();
        const std::string got = world.rig().client(0).inbox;
        if (is_over || !trouble.loses_replies) CHECK(got == script.expected);
        const bool stays = trouble.name != "the client leaves";
        if (stays) {
          CHECK(got.ends_with("MN\r\n"));
          CHECK(lines_of(got).size() <= lines_of(script.expected).size());
        }
        const bool serves =
            !trouble.name.starts_with("the client") && !trouble.name.starts_with("the namespace");
        world.entropy().fails = false;
        if (serves) {
          world.rig().client(0).inbox.clear();
          CHECK(world.ask("set again 0 0 2\r\nok\r\nget again\r\n") ==
                "STORED\r\nVALUE again 0 2\r\nok\r\nEND\r\n");
        }
        world.check_nothing_is_left();
        if (is_over) break;
      }
    }
  }
}

}  // namespace tokenring::sealed_world
