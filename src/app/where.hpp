// `tokenring where`: which namespace, pool and node a key has, without asking any of them.
#pragma once

#include <cstdint>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "policy/snapshot.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

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
