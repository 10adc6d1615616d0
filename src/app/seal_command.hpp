// `tokenring keygen`, `seal`, `open` and `train-dictionary`: keys and sealed values by hand.
//
// Each returns the exit code; what is wrong is one line on `errors`.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tokenring/envelope.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

struct KeygenOptions {
  bool master_only = false;  // A line to add to a file, to rotate its primary.
};

struct SealCommand {
  std::string keys;   // A file.
  std::string space;  // The namespace's prefix, escaped as by escaped_key(), as is the key.
  std::string key;
  std::uint32_t flags = 0;
  std::int64_t exp = 0;  // Unix seconds; 0: none.
  std::optional<std::uint64_t> generation;
  std::vector<std::string> dictionaries;  // Files. Sealing compresses with the only one.
};

struct TrainOptions {
  std::size_t bytes = 16384;         // Of the dictionary, at most.
  std::vector<std::string> samples;  // Files, a sample each; "-": one in each line of `in`.
};

int keygen(const KeygenOptions& options, Entropy& entropy, std::ostream& out, std::ostream& errors);
// The ids by which values and `stats keys` name the master keys of a file.
int list_keys(const std::string& path, std::ostream& out, std::ostream& errors);
// The value from `in` to its envelope on `out`.
int seal_value(const SealCommand& command, UnixTime now, Entropy& entropy, std::istream& in,
               std::ostream& out, std::ostream& errors);
// The other way.
int open_value(const SealCommand& command, UnixTime now, std::istream& in, std::ostream& out,
               std::ostream& errors);
int train(const TrainOptions& options, std::istream& in, std::ostream& out, std::ostream& errors);

}  // namespace tokenring
