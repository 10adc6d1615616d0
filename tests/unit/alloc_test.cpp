// After warm-up the engine allocates nothing for a request, whatever its kind.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "count_allocations.hpp"
#include "proxy/engine.hpp"
#include "seal_kit.hpp"

using namespace tokenring;

namespace {

// An engine over two nodes that answer from a fixed script, without allocating themselves. With
// `seals` they have the value that was written last, whatever its key.
class Rig {
 public:
  explicit Rig(bool seals = false)
      : seals_(seals),
        engine_(snapshot(seals),
                {.board = &board_, .counters = board_.of_worker.data(), .entropy = &entropy_},
                now_) {
    turn();
    client_ = engine_.open_client();
  }

  // Sends the request and plays the node until the client has its reply; returns the reply's size.
  std::size_t ask(std::string_view request) {
    const std::span<char> space = engine_.client_space(client_);
    REQUIRE(space.size() >= request.size());
    request.copy(space.data(), request.size());
    engine_.client_received(client_, request.size(), now_);
    turn();
    std::array<std::string_view, 8> pieces;
    std::size_t size = 0;
    while (const std::size_t count = engine_.client_output(client_, pieces)) {
      for (std::size_t i = 0; i < count; ++i) size += pieces[i].size();
      std::size_t sent = 0;
      for (std::size_t i = 0; i < count; ++i) sent += pieces[i].size();
      engine_.client_sent(client_, sent);
    }
    return size;
  }

 private:
  static std::shared_ptr<const Snapshot> snapshot(bool seals) {
    auto made = std::make_shared<Snapshot>();
    const std::vector<NodeSpec> nodes{{.address = "a:1"}, {.address = "b:1"}};
    made->pools.push_back({"default", nodes, Ring::make(nodes, {}).value(), {}, 0});
    made->namespaces = NamespaceTable({Namespace{}});
    if (!seals) return made;
    Namespace space;
    space.prefix = "h";
    space.life.max_age_s = 600;
    space.life.token_life = TokenLife::kFollow;
    space.seal.mode = SealMode::kRequire;
    space.seal.blind_keys = space.seal.compress = true;
    made->namespaces = NamespaceTable({space, Namespace{}});
    made->keyring = seal_kit::keyring_of(seal_kit::kKeyFile);
    made->keys = NamespaceKeys::derive(*made->keyring, std::vector<std::string>{"h", ""});
    made->has_blind_keys = true;
    return made;
  }

  void turn() {
    engine_.resume(now_);
    while (!engine_.outbox().empty()) {
      std::swap(work_, engine_.outbox());
      for (const LinkId id : work_.open_links) engine_.link_connected(id, now_);
      for (const LinkId id : work_.flush_links) serve(id);
      work_.clear();
      engine_.resume(now_);
    }
  }

  // Answers each line the engine sends: get lines with hits for keys that begin with h.
  void serve(LinkId id) {
    std::size_t size = 0;
    while (OutQueue* out = engine_.link_output(id)) {
      std::array<std::string_view, 16> pieces;
      const std::size_t count = out->front(pieces);
      for (std::size_t i = 0; i < count; ++i) {
        pieces[i].copy(lines_.data() + size, lines_.size() - size);
        size += pieces[i].size();
      }
      out->consume(out->size());
    }
    std::string_view in(lines_.data(), size);
    reply_.clear();
    while (!in.empty()) answer(in);
    for (std::string_view rest = reply_; !rest.empty();) {
      const std::span<char> space = engine_.link_space(id);
      const std::size_t n = rest.copy(space.data(), space.size());
      engine_.link_received(id, n, now_);
      rest.remove_prefix(n);
    }
  }

  void answer(std::string_view& in) {
    const std::size_t end = in.find("\r\n");
    std::string_view line = in.substr(0, end);
    in.remove_prefix(end + 2);
    const std::string_view command = next_word(line);
    if (command == "version") {
      reply_ += "VERSION 1.6.18\r\n";
    } else if (command == "mn") {
      reply_ += "MN\r\n";
    } else if (command == "get" || command == "gets") {
      for (std::string_view key = next_word(line); !key.empty(); key = next_word(line))
        if (seals_)
          append_stored(fmt::format_to_n(header_.data(), header_.size(), "VALUE {} 0 {}{}\r\n", key,
                                         stored_.size(), command == "gets" ? " 7" : "")
                            .size);
        else if (key[0] == 'h')
          reply_.append("VALUE ")
              .append(key)
              .append(command == "gets" ? " 0 100 7\r\n" : " 0 100\r\n")
              .append(value_, 0, 100)
              .append("\r\n");
      reply_ += "END\r\n";
    } else {
      std::string_view opaque = line.substr(std::min(line.rfind(" O"), line.size()));
      opaque = opaque.substr(0, opaque.find(' ', 1));
      if (command == "ms") {
        next_word(line);
        std::size_t size = 0;
        for (const char c : next_word(line)) size = size * 10 + static_cast<std::size_t>(c - '0');
        stored_ = in.substr(0, size);
        in.remove_prefix(size + 2);
      }
      if (command == "ma")
        reply_.append("VA 1").append(opaque).append("\r\n5\r\n");
      else if (command == "mg" && seals_)
        append_stored(fmt::format_to_n(header_.data(), header_.size(), "VA {} f0 t-1 c7{}\r\n",
                                       stored_.size(), opaque)
                          .size);
      else if (command == "ms" && seals_)
        reply_.append("HD c7").append(opaque).append("\r\n");
      else if (command == "mg")
        reply_.append("VA 3").append(opaque).append("\r\nabc\r\n");
      else
        reply_.append("HD").append(opaque).append("\r\n");
    }
  }

  // The stored value behind the first bytes of header_.
  void append_stored(std::size_t header_bytes) {
    reply_.append(header_.data(), header_bytes).append(stored_).append("\r\n");
  }

  bool seals_;
  seal_kit::SeededEntropy entropy_;
  CounterBoard board_{1};
  Now now_{.unix_time = {1'790'000'000}, .instant = {1}};
  Engine engine_;
  ClientId client_;
  Outbox work_;
  std::array<char, 65536> lines_;
  std::string reply_ = std::string(65536, ' ');
  std::string value_ = std::string(4096, 'v');
  std::string stored_ = std::string(4096, ' ');
  std::array<char, 512> header_;
};

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void check_allocates_nothing(Rig& rig, const std::vector<std::string>& requests) {
  for (const std::string& request : requests) {
    for (int i = 0; i < 200; ++i) static_cast<void>(rig.ask(request));
    const std::size_t before = allocations;
    std::size_t bytes = 0;
    for (int i = 0; i < 10'000; ++i) bytes += rig.ask(request);
    const std::size_t allocated = allocations - before;
    CHECK_MESSAGE(allocated == 0, request.substr(0, 40));
    const bool silent = request.find("noreply") != std::string::npos;
    CHECK((bytes > 0) == !silent);
  }
}

}  // namespace

TEST_CASE("a request allocates nothing after warm-up") {
  const std::string big(1024, 'x');
  const std::vector<std::string> requests = {
      "get hit\r\n",
      "get miss\r\n",
      "gets hit\r\n",
      "get h1 h2 h3 h4 h5 m6 h7 h8 h9 h10\r\n",
      "set k 1 60 100\r\n" + std::string(100, 'x') + "\r\n",
      "set k 0 0 1024\r\n" + big + "\r\n",
      "set k 0 0 1024 noreply\r\n" + big + "\r\n",
      "mg k v Oabc k\r\n",
      "ms k 1024 T60 k Oabc\r\n" + big + "\r\n",
      "md k q\r\nmn\r\n",
      "delete k\r\n",
      "incr k 5\r\n",
      "bogus\r\n",
      repeated("get hit\r\n", 16),
      repeated("mg a v q\r\n", 10) + "mn\r\n",
      "get " + std::string(240, 'h') + "\r\n",
  };
  Rig rig;
  check_allocates_nothing(rig, requests);
}

TEST_CASE("neither does one in a sealed namespace") {
  const std::string token = R"({"active":true,"exp":1790000300,"scope":"openid email profile",)"
                            R"("username":"a.user@example.com"})";
  const std::string big(1024, 'x');
  const std::vector<std::string> requests = {
      fmt::format("set hk 0 60 {}\r\n{}\r\n", token.size(), token),
      "get hk\r\n",
      "gets hk\r\n",
      "get hk hk hk miss hk\r\n",
      "mg hk v t s\r\n",
      "mg hk\r\n",
      fmt::format("ms h{} 1024 T60 k Oabc\r\n{}\r\n", std::string(1000, 'k'), big),
      "set hk 0 0 1 noreply\r\n5\r\n",
      "incr hk 0\r\n",
      "ma hk N0 J1 D0 v\r\n",
      "append hk 0 0 0\r\n\r\n",
      "delete hk\r\n",
      repeated("set hk 0 0 1\r\n5\r\nget hk\r\nincr hk 0\r\n", 8),
  };
  Rig rig(true);
  check_allocates_nothing(rig, requests);
}
