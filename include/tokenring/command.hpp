// The command table: one row per command a client may send, and the protocol's error texts.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tokenring {

enum class Dialect : std::uint8_t { kText, kMeta };

// What a command becomes upstream. kLocal is answered here, kRefused with an error.
enum class Verb : std::uint8_t { kGet, kSet, kDelete, kArithmetic, kDebug, kLocal, kRefused };

// X(enumerator, name, dialect, verb, words_min, words_max): words count the command itself;
// words_max 0 means any number. Limits are memcached 1.6.18's (proto_text.c, WANT_TOKENS).
#define TOKENRING_COMMANDS(X)                                \
  X(kGet, "get", kText, kGet, 2, 0)                          \
  X(kGets, "gets", kText, kGet, 2, 0)                        \
  X(kGat, "gat", kText, kGet, 2, 0)                          \
  X(kGats, "gats", kText, kGet, 2, 0)                        \
  X(kBget, "bget", kText, kGet, 2, 0)                        \
  X(kSet, "set", kText, kSet, 5, 6)                          \
  X(kAdd, "add", kText, kSet, 5, 6)                          \
  X(kReplace, "replace", kText, kSet, 5, 6)                  \
  X(kAppend, "append", kText, kSet, 5, 6)                    \
  X(kPrepend, "prepend", kText, kSet, 5, 6)                  \
  X(kCas, "cas", kText, kSet, 6, 7)                          \
  X(kDelete, "delete", kText, kDelete, 2, 4)                 \
  X(kIncr, "incr", kText, kArithmetic, 3, 4)                 \
  X(kDecr, "decr", kText, kArithmetic, 3, 4)                 \
  X(kTouch, "touch", kText, kGet, 3, 4)                      \
  X(kMetaGet, "mg", kMeta, kGet, 2, 0)                       \
  X(kMetaSet, "ms", kMeta, kSet, 2, 0)                       \
  X(kMetaDelete, "md", kMeta, kDelete, 2, 0)                 \
  X(kMetaArithmetic, "ma", kMeta, kArithmetic, 2, 0)         \
  X(kMetaDebug, "me", kMeta, kDebug, 1, 0)                   \
  X(kMetaNoop, "mn", kMeta, kLocal, 1, 0)                    \
  X(kFlushAll, "flush_all", kText, kLocal, 1, 3)             \
  X(kVersion, "version", kText, kLocal, 1, 0)                \
  X(kVerbosity, "verbosity", kText, kLocal, 2, 3)            \
  X(kStats, "stats", kText, kLocal, 1, 0)                    \
  X(kQuit, "quit", kText, kLocal, 1, 0)                      \
  X(kShutdown, "shutdown", kText, kRefused, 1, 0)            \
  X(kSlabs, "slabs", kText, kRefused, 1, 0)                  \
  X(kLru, "lru", kText, kRefused, 2, 0)                      \
  X(kLruCrawler, "lru_crawler", kText, kRefused, 1, 0)       \
  X(kCacheMemlimit, "cache_memlimit", kText, kRefused, 2, 3) \
  X(kWatch, "watch", kText, kRefused, 1, 0)

enum class Command : std::uint8_t {
#define X(enumerator, ...) enumerator,
  TOKENRING_COMMANDS(X)
#undef X
};

struct CommandRow {
  std::string_view name;
  Dialect dialect;
  Verb verb;
  std::uint8_t words_min;
  std::uint8_t words_max;
};

inline constexpr std::array kCommandRows = {
#define X(enumerator, name, dialect, verb, min, max) \
  CommandRow{name, Dialect::dialect, Verb::verb, min, max},
    TOKENRING_COMMANDS(X)
#undef X
};

[[nodiscard]] constexpr const CommandRow& row_of(Command command) noexcept {
  return kCommandRows[static_cast<std::size_t>(command)];
}

// Whether it asks for values by text, so that several of them can share one line upstream. These
// are the first rows, for this is asked several times a key.
[[nodiscard]] constexpr bool is_text_get(Command command) noexcept {
  return command <= Command::kBget;
}
static_assert([] {
  for (std::size_t i = 0; i < kCommandRows.size(); ++i) {
    const auto command = static_cast<Command>(i);
    const bool reads =
        kCommandRows[i].dialect == Dialect::kText && kCommandRows[i].verb == Verb::kGet;
    if (is_text_get(command) != (reads && command != Command::kTouch)) return false;
  }
  return true;
}());

// X(enumerator, text): every error line a client can get, without CR LF. Those up to kFlushRefused
// are memcached 1.6.18's own words; the others are ours.
#define TOKENRING_WIRE_ERRORS(X)                                                            \
  X(kError, "ERROR")                                                                        \
  X(kBadLine, "CLIENT_ERROR bad command line format")                                       \
  X(kBadDeleteLine, "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]") \
  X(kBadChunk, "CLIENT_ERROR bad data chunk")                                               \
  X(kBadToken, "CLIENT_ERROR bad token in command line format")                             \
  X(kDuplicateFlag, "CLIENT_ERROR duplicate flag")                                          \
  X(kInvalidFlag, "CLIENT_ERROR invalid flag")                                              \
  X(kInvalidOrDuplicateFlag, "CLIENT_ERROR invalid or duplicate flag")                      \
  X(kTooManyFlagsGet, "CLIENT_ERROR options flags are too long")                            \
  X(kTooManyFlags, "CLIENT_ERROR options flags too long")                                   \
  X(kOpaqueTooLong, "CLIENT_ERROR opaque token too long")                                   \
  X(kBadBase64, "CLIENT_ERROR error decoding key")                                          \
  X(kBadModeLength, "CLIENT_ERROR incorrect length for M token")                            \
  X(kBadSetMode, "CLIENT_ERROR invalid mode for ms M token")                                \
  X(kBadArithmeticMode, "CLIENT_ERROR invalid mode for ma M token")                         \
  X(kBadInitial, "CLIENT_ERROR invalid numeric initial value")                              \
  X(kBadMetaDelta, "CLIENT_ERROR invalid numeric delta value")                              \
  X(kBadExptime, "CLIENT_ERROR invalid exptime argument")                                   \
  X(kBadDelta, "CLIENT_ERROR invalid numeric delta argument")                               \
  X(kStatsDetailUsage, "CLIENT_ERROR usage: stats detail on|off|dump")                      \
  X(kTooLarge, "SERVER_ERROR object too large for cache")                                   \
  X(kOutOfMemory, "SERVER_ERROR out of memory storing object")                              \
  X(kShutdownRefused, "ERROR: shutdown not enabled")                                        \
  X(kUnauthenticated, "CLIENT_ERROR unauthenticated")                                       \
  X(kBadTermination, "CLIENT_ERROR bad command line termination")                           \
  X(kBadLoginFormat, "CLIENT_ERROR bad authentication token format")                        \
  X(kLoginFailed, "CLIENT_ERROR authentication failure")                                    \
  X(kFlushRefused, "CLIENT_ERROR flush_all not allowed")                                    \
  X(kAccessDenied, "CLIENT_ERROR access denied")                                            \
  X(kRateLimited, "SERVER_ERROR rate limited")                                              \
  X(kNotAllowed, "CLIENT_ERROR command not allowed through tokenring")                      \
  X(kLineTooLong, "CLIENT_ERROR line too long")                                             \
  X(kNoPool, "SERVER_ERROR no pool serves this key")                                        \
  X(kNodeDown, "SERVER_ERROR node is down")                                                 \
  X(kNodeLost, "SERVER_ERROR connection to node lost")                                      \
  X(kNodeTimeout, "SERVER_ERROR node timed out")                                            \
  X(kNodeTooOld, "SERVER_ERROR node is older than memcached 1.6")                           \
  X(kNodeError, "SERVER_ERROR node refused the request")                                    \
  X(kNodeBadReply, "SERVER_ERROR bad reply from node")                                      \
  X(kBusy, "SERVER_ERROR too many requests in flight")                                      \
  X(kNonNumeric, "CLIENT_ERROR cannot increment or decrement non-numeric value")            \
  X(kSealedArithmetic, "CLIENT_ERROR sealed values cannot be changed in place here")        \
  X(kNoTokenLife, "CLIENT_ERROR value does not say when it expires")                        \
  X(kGuardedReplay, "CLIENT_ERROR only add and get are allowed for this key")               \
  X(kCannotSeal, "SERVER_ERROR cannot seal the value")                                      \
  X(kTooManyChanges, "SERVER_ERROR too many concurrent changes of this item")               \
  X(kFanOutFailed, "SERVER_ERROR not every node answered")                                  \
  X(kTooManyClients, "ERROR Too many open connections")

enum class WireError : std::uint8_t {
#define X(enumerator, text) enumerator,
  TOKENRING_WIRE_ERRORS(X)
#undef X
};

// The line with its CR LF. The view is of static storage.
[[nodiscard]] std::string_view line_of(WireError error) noexcept;

}  // namespace tokenring
