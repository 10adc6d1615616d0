// `tokenring where`, and /where: which namespace, pool and node a key has, without asking any of
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "policy/snapshot.hpp"
#include "tokenring/result.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// What becomes of a key. Borrows from the snapshot.
struct KeyPlace {
  const Namespace* space = nullptr;
  const Pool* pool = nullptr;
  std::size_t node = 0;                // Of the pool.
  std::string node_key;                // As the node sees it: blinded, or the key itself.
  std::optional<std::int64_t> life_s;  // That it would get, before jitter; none: it never ends.
  std::string reference;               // What the log calls the key; empty where there is none.
};

// `exptime`: what a client would ask for. The error is part of a line, and does not show the key.
[[nodiscard]] Result<KeyPlace, std::string> place_of_key(const Snapshot& snapshot,
                                                         std::string_view key, std::int32_t exptime,
                                                         UnixTime now);

struct WhereOptions {
  std::vector<std::string> keys;  // Escaped as by escaped_key(); "-": one key per line of `in`.
  std::int32_t exptime = 0;       // What a client would ask for.
  bool reference = false;         // One more column: what the log calls the key.
};

// Writes a line for each key to `out`: key, prefix of its namespace (- when empty), pool, node, the
// key as the node sees it, and the life that it would get in seconds or `never`, before jitter;
// separated by tabs; then, if asked for, its reference, or - where there are no keys. A key without
// a pool, or that is none, is a line on `errors`. Returns the exit code: 1 when there was an error.
int where(const Snapshot& snapshot, const WhereOptions& options, UnixTime now, std::istream& in,
          std::ostream& out, std::ostream& errors);

}  // namespace tokenring
