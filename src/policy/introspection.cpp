#include "policy/introspection.hpp"

#include <simdjson.h>

namespace tokenring {

Verdict read_verdict(std::string_view json) noexcept {
  if (json.size() > Introspection::kAnswerBytesMax) return Verdict::kMalformed;
  simdjson::dom::parser parser(Introspection::kAnswerBytesMax);
  simdjson::dom::object object;
  // Copies what it is given, which ends where it ends.
  if (parser.parse(json.data(), json.size(), true).get(object) != simdjson::SUCCESS)
    return Verdict::kMalformed;
  bool is_there = false;
  bool is_active = true;
  for (const auto [name, value] : object) {
    bool active = false;
    if (name != "active") continue;
    if (value.get(active) != simdjson::SUCCESS) return Verdict::kMalformed;
    is_there = true;
    is_active &= active;
  }
  if (!is_there) return Verdict::kMalformed;
  return is_active ? Verdict::kActive : Verdict::kInactive;
}

}  // namespace tokenring
