// What a client that waits for one thing at a time is told.
#pragma once

#include <cstddef>
#include <string>

namespace tokenring::sim {

struct Answer {
  bool whole = false;
  bool good = false;
  std::string value;
};

// The answer at the front of `inbox`, which then begins behind it.
inline Answer take_answer(std::string& inbox, bool is_read) {
  Answer answer;
  const std::size_t end =
      is_read && inbox.starts_with("VALUE") ? inbox.find("END\r\n") : inbox.find("\r\n");
  if (end == std::string::npos) return answer;
  answer.whole = true;
  if (inbox.starts_with("VALUE")) {
    const std::size_t from = inbox.find("\r\n") + 2;
    answer.good = true;
    answer.value = inbox.substr(from, inbox.find("\r\n", from) - from);
    inbox.erase(0, end + 5);
    return answer;
  }
  answer.good = inbox.starts_with("STORED") || inbox.starts_with("DELETED");
  inbox.erase(0, end + 2);
  return answer;
}

}  // namespace tokenring::sim
