// Commands that are refused here. Their arguments are looked at first, as memcached 1.6.18 looks at
// them (proto_text.c): what it would not have understood it answers in the same words. Beyond that,
// an argument's range is the server's matter, and the command is refused whatever it is.
#include <algorithm>
#include <array>

#include "wire/dialects.hpp"
#include "wire/numbers.hpp"

namespace tokenring::wire {

namespace {

constexpr std::array<std::string_view, 9> kWatched = {"rawcmds",   "evictions",   "fetchers",
                                                      "mutations", "sysevents",   "connevents",
                                                      "proxyreqs", "proxyevents", "proxyuser"};

ParsedRequest parse_slabs(const Words& words, Request& request) {
  const std::string_view what = words.count > 1 ? words.at[1] : std::string_view();
  if (what == "reassign" && words.count == 4) {
    std::int32_t slab = 0;
    const bool fits = parse_i32(words.at[2], slab) && parse_i32(words.at[3], slab);
    return fits ? parsed() : failed(WireError::kBadLine);
  }
  if (what != "automove" || words.count < 3) return failed(WireError::kError);
  request.quiet = words.last() == "noreply";
  if (words.at[2] == "ratio") {
    const bool fits = words.count > 3 && is_real(words.at[3]);
    return fits ? parsed() : failed(WireError::kError, request.quiet);
  }
  std::uint32_t level = 0;
  if (!parse_u32(words.at[2], level)) return failed(WireError::kBadLine, request.quiet);
  return level <= 2 ? parsed() : failed(WireError::kError, request.quiet);
}

ParsedRequest parse_lru(const Words& words, Request& request) {
  request.quiet = words.last() == "noreply";
  const std::string_view what = words.at[1];
  bool fits = false;
  if (what == "tune" && words.count >= 6) {
    std::uint32_t percent = 0;
    fits = parse_u32(words.at[2], percent) && parse_u32(words.at[3], percent) &&
           is_real(words.at[4]) && is_real(words.at[5]);
  } else if (what == "mode" && words.count >= 3) {
    fits = words.at[2] == "flat" || words.at[2] == "segmented";
  } else if (what == "temp_ttl" && words.count >= 3) {
    std::int32_t ttl = 0;
    fits = parse_i32(words.at[2], ttl);
  }
  return fits ? parsed() : failed(WireError::kError, request.quiet);
}

ParsedRequest parse_lru_crawler(const Words& words) {
  const std::string_view what = words.count > 1 ? words.at[1] : std::string_view();
  if (words.count == 2 && (what == "enable" || what == "disable")) return parsed();
  if (words.count != 3) return failed(WireError::kError);
  if (what == "crawl" || what == "metadump") return parsed();
  if (what != "tocrawl" && what != "sleep") return failed(WireError::kError);
  std::uint32_t amount = 0;
  return parse_u32(words.at[2], amount) ? parsed() : failed(WireError::kBadLine);
}

ParsedRequest parse_memlimit(const Words& words, Request& request) {
  request.quiet = words.last() == "noreply";
  std::uint32_t megabytes = 0;
  return parse_u32(words.at[1], megabytes) ? parsed() : failed(WireError::kError, request.quiet);
}

ParsedRequest parse_watch(const Words& words, Request& request) {
  request.quiet = words.last() == "noreply";
  for (std::size_t i = 1; i < words.count; ++i)
    if (std::find(kWatched.begin(), kWatched.end(), words.at[i]) == kWatched.end())
      return failed(WireError::kError, request.quiet);
  return parsed();
}

}  // namespace

ParsedRequest parse_refused(const Words& words, Request& request) noexcept {
  switch (request.command) {
    case Command::kSlabs:
      return parse_slabs(words, request);
    case Command::kLru:
      return parse_lru(words, request);
    case Command::kLruCrawler:
      return parse_lru_crawler(words);
    case Command::kCacheMemlimit:
      return parse_memlimit(words, request);
    case Command::kWatch:
      return parse_watch(words, request);
    default:
      return parsed();
  }
}

}  // namespace tokenring::wire
