// Transcripts: what clients and nodes say, step by step. README.md here has the grammar.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tokenring::test {

// What `\{now+N}` counts from: the unix time at which a Rig begins.
inline constexpr std::int64_t kTranscriptNow = 1'790'000'000;

struct Step {
  enum class Kind : std::uint8_t {
    kSend,     // A client or a node sends `bytes`.
    kExpect,   // It must have been sent exactly `bytes`.
    kClose,    // It closes its connection; a node takes the next one.
    kEnd,      // A client ends its half.
    kEof,      // A client must be closed by the proxy.
    kRefuse,   // A node takes no more connections...
    kAccept,   // ...or takes them again.
    kVersion,  // A node says `bytes` when asked for its version.
    kWait,     // Time passes: `ms`.
    kTurn,     // What came so far is served before what comes next.
  };
  Kind kind = Kind::kTurn;
  bool node = false;   // Else a client.
  unsigned index = 0;  // Which of them; the first client is 1, the first node 0.
  std::string bytes;   // With placeholders.
  std::int64_t ms = 0;
  unsigned line = 0;
};

struct Transcript {
  std::string name;
  unsigned nodes = 1;
  std::map<std::string, std::string> settings;
  std::vector<Step> steps;
};

// Throws std::runtime_error that names file and line.
[[nodiscard]] Transcript read_transcript(const std::string& path);
// All of a directory's, by name.
[[nodiscard]] std::vector<Transcript> read_transcripts(const std::string& directory);

// Opaques by their number, bound when first met.
using Opaques = std::map<char, std::string>;

// The bytes with `O@n` replaced; empty when one is not bound.
[[nodiscard]] std::optional<std::string> fill_in(std::string_view pattern, const Opaques& opaques);
// How many bytes of `text` match the whole pattern; empty when it does not begin like it. Binds.
[[nodiscard]] std::optional<std::size_t> match(std::string_view pattern, std::string_view text,
                                               Opaques& opaques);
// For messages: control bytes escaped, long runs cut.
[[nodiscard]] std::string shown(std::string_view bytes);

}  // namespace tokenring::test
