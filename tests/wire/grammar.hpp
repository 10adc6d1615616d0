// What well-formed streams are made of, as the tests see it: a second opinion, kept simple.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tokenring::test {

// Whether `received` can be a client's replies to all that it `sent`: one reply of the right form
// for each request, in order, an error in place of any, nothing for what is quiet. What is wrong,
// if anything. `ended`: the proxy closed the connection, so that the last replies may be missing.
[[nodiscard]] std::optional<std::string> replies_wrong(std::string_view sent,
                                                       std::string_view received,
                                                       std::size_t value_bytes_max, bool ended);

// Whether the stream ends where a request ends, so that another one can follow.
[[nodiscard]] bool ends_between_requests(std::string_view sent, std::size_t value_bytes_max);

// Whether `sent`, one connection's bytes to a node, is whole commands one after the other.
[[nodiscard]] bool are_whole_commands(std::string_view sent);

}  // namespace tokenring::test
