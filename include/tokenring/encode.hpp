// Encoding: a request as the command that goes upstream, and a node's reply in the client's
// dialect. Both write into a caller's buffer whose size a companion function bounds.
//
// Upstream we speak meta, but for text reads: mg takes the one recache win of a stale item, which a
// text get, gat or touch leaves alone, so that these go up as what they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tokenring/reply.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

// What policy made of a request: everything that differs from what the client sent.
struct Plan {
  std::string_view node_key;  // As the node sees it.
  bool key_is_base64 = false;
  bool echo_key = false;                        // Ask for the key back (mg; see render.cpp).
  std::uint32_t opaque = 0;                     // Not sent with text reads.
  std::optional<Expiry> ttl = std::nullopt;     // Sent as T; empty: none (never, or untouched).
  std::optional<Expiry> vivify = std::nullopt;  // Sent as N; empty: none.
  std::size_t value_bytes = 0;                  // Storage commands.
  std::string_view more_flags = {};             // The proxy's own wishes, each after a blank.
};

// Whether the request goes upstream as a text command, whose reply carries no opaque.
[[nodiscard]] constexpr bool is_text_read(Command command) noexcept {
  return is_text_get(command) || command == Command::kTouch;
}

// Bytes that encode_request() may write.
[[nodiscard]] std::size_t encoded_size_max(const Request& request, const Plan& plan) noexcept;
// Writes the command line with its CR LF (a value is not part of it); returns the end. The line of
// a text get stays without CR LF: further keys may follow it.
char* encode_request(const Request& request, const Plan& plan, char* to) noexcept;

// What must be kept of a request until its reply can be rendered. Borrows.
struct ReplyContext {
  Command command = Command::kGet;
  bool quiet = false;
  bool key_is_base64 = false;
  bool ends_get = false;      // Text get family: END follows this reply.
  bool matches_hide = false;  // mg C: the value is left out where `cas` matches.
  Cas cas;
  std::string_view key;    // As the client sent it.
  std::string_view flags;  // Meta: as the client sent them.
};

// Bytes that render_reply() may write, without the value.
[[nodiscard]] std::size_t rendered_size_max(const ReplyContext& context,
                                            const Reply& reply) noexcept;

struct Rendered {
  enum class Kind : std::uint8_t {
    kWritten,   // A line, complete.
    kValue,     // A line that the reply's value and a CR LF must follow, and `tail` after these.
    kVerbatim,  // Nothing yet: the node's own bytes, from line to value, and `tail` after these.
    kNothing,   // Quiet: the client gets nothing.
    kMismatch,  // No answer to this request: the node is out of step.
  };
  Kind kind = Kind::kWritten;
  char* end = nullptr;
  std::string_view tail;  // END CR LF or empty; of static storage.
};

// Writes a node's reply as the client's dialect has it.
[[nodiscard]] Rendered render_reply(const ReplyContext& context, const Reply& reply,
                                    char* to) noexcept;

}  // namespace tokenring
