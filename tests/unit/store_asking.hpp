// Talks to an embedded node as a test would to a server, with a clock that only the test moves.
#pragma once

#include <string>
#include <string_view>

#include "store/embedded_node.hpp"
#include "wire/drained.hpp"

namespace tokenring {

struct Asking {
  explicit Asking(const StoreOptions& options = {}) : node(options) {}

  // Sends whole requests and returns all replies. Whatever is not answered stays in `in`.
  std::string ask(std::string_view bytes) {
    in += bytes;
    std::string replies;
    for (;;) {
      OutQueue out;
      const std::size_t used = node.serve(link, in, now, out, pool);
      in.erase(0, used);
      replies += drained(out);
      if (used == 0) return replies;
    }
  }
  // A request that is one line, without its end; the reply without its last end.
  std::string line(std::string_view request) {
    std::string reply = ask(std::string(request) + "\r\n");
    if (reply.ends_with("\r\n")) reply.resize(reply.size() - 2);
    return reply;
  }
  // ms with that value: "HD ..." and so on, without its end.
  std::string set(std::string_view key, std::string_view value, std::string_view flags = "") {
    return line("ms " + std::string(key) + " " + std::to_string(value.size()) + " " +
                std::string(flags) + "\r\n" + std::string(value));
  }

  BufferPool pool;
  EmbeddedNode node;
  EmbeddedNode::Link link;
  UnixTime now{1'790'000'000};
  std::string in;
};

}  // namespace tokenring
