#include "policy/claims.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "seal/secret.hpp"

namespace tokenring {

namespace {

namespace dom = simdjson::dom;

// Beyond this a time is in milliseconds: as seconds it would be after the year 5000.
constexpr double kSecondsMax = 1e11;
constexpr double kNumberMax = 1e15;

constexpr auto kBase64Url = [] {
  std::array<signed char, 256> table{};
  table.fill(-1);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
  return table;
}();

int value_of(char c) noexcept {
  return kBase64Url[static_cast<unsigned char>(c)];
}

// Writes what `in` stands for and returns its size; empty where it is not base64url. `out` has room
// for in.size() bytes.
std::optional<std::size_t> decode_base64url(std::string_view in, char* out) noexcept {
  std::uint32_t bits = 0;
  unsigned held = 0;
  char* end = out;
  for (const char c : in) {
    const int value = value_of(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    *end++ = static_cast<char>(bits >> held);
  }
  if (held >= 6) return std::nullopt;  // No number of bytes has that many characters.
  return static_cast<std::size_t>(end - out);
}

bool is_base64url(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return value_of(c) >= 0; });
}

// The payload of a compact JWT: what stands between two dots, among base64url; else empty.
std::string_view jwt_payload(std::string_view value) noexcept {
  const std::size_t first = value.find('.');
  if (first == std::string_view::npos || first == 0) return {};
  const std::size_t second = value.find('.', first + 1);
  if (second == std::string_view::npos) return {};
  if (!is_base64url(value.substr(0, first)) || !is_base64url(value.substr(second + 1))) return {};
  return value.substr(first + 1, second - first - 1);
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlank = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

std::optional<double> number_in(std::string_view text) noexcept {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
    return std::nullopt;
  return number;
}

// A number, or a string that holds one, as some servers write it.
std::optional<double> number_of(dom::element element) noexcept {
  double number = 0;
  std::string_view text;
  if (element.get(number) == simdjson::SUCCESS) return number;
  if (element.get(text) == simdjson::SUCCESS) return number_in(text);
  return std::nullopt;
}

std::int64_t whole(double number) noexcept {
  return static_cast<std::int64_t>(std::floor(std::clamp(number, -kNumberMax, kNumberMax)));
}

// Unix seconds, from a number of seconds or of milliseconds.
std::optional<std::int64_t> time_of(dom::element element) noexcept {
  const std::optional<double> number = number_of(element);
  if (!number) return std::nullopt;
  return whole(std::abs(*number) > kSecondsMax ? *number / 1000 : *number);
}

std::optional<std::int64_t> time_or_date_of(dom::element element) noexcept {
  std::string_view text;
  if (element.get(text) == simdjson::SUCCESS)
    if (const auto date = parse_rfc3339(text)) return date;
  return time_of(element);
}

using Time = std::optional<std::int64_t>;

void keep_earliest(Time& kept, Time found) noexcept {
  if (found) kept = kept ? std::min(*kept, *found) : *found;
}
void keep_latest(Time& kept, Time found) noexcept {
  if (found) kept = kept ? std::max(*kept, *found) : *found;
}

// What an object says. A name that stands there twice counts twice.
struct Said {
  Time exp;
  Time expires_in;
  Time iat;
  Time nbf;
  bool inactive = false;

  void take(dom::object object, bool inside) noexcept {
    for (const auto [name, value] : object) {
      if (name == "exp") {
        keep_earliest(exp, time_of(value));
      } else if (name == "expires_at") {
        keep_earliest(exp, time_or_date_of(value));
      } else if (name == "expires_in") {
        if (const auto seconds = number_of(value)) keep_earliest(expires_in, whole(*seconds));
      } else if (name == "iat") {
        keep_latest(iat, time_of(value));
      } else if (name == "nbf") {
        keep_latest(nbf, time_of(value));
      } else if (name == "active") {
        bool active = true;
        inactive |= value.get(active) == simdjson::SUCCESS && !active;
      }
    }
    if (inside) return;
    for (const auto [name, value] : object) {
      dom::object nested;
      if (name == "token_introspection" && value.get(nested) == simdjson::SUCCESS)
        take_introspection(nested);
    }
  }

  [[nodiscard]] Claims claims(UnixTime now) const noexcept {
    Claims claims{.understood = true, .inactive = inactive};
    if (iat && *iat > 0 && *iat <= now.seconds + ClaimsReader::kClockSkewSeconds)
      claims.iat = UnixTime{std::min(*iat, now.seconds)};
    Time end = exp;
    const std::int64_t begin_s = claims.iat ? claims.iat->seconds : now.seconds;
    if (expires_in) keep_earliest(end, begin_s + *expires_in);
    if (!end) return claims;
    const Time begin = claims.iat ? claims.iat->seconds : iat;
    const bool never_lived = (nbf && *nbf > *end) || (begin && *begin > *end);
    claims.exp = UnixTime{never_lived ? 1 : std::max<std::int64_t>(*end, 1)};
    return claims;
  }

 private:
  // An object of its own: the iat of the response around it is another one, and comes second.
  void take_introspection(dom::object object) noexcept {
    Said token;
    token.take(object, true);
    keep_earliest(exp, token.exp);
    keep_earliest(expires_in, token.expires_in);
    if (token.iat) iat = token.iat;
    if (token.nbf) nbf = token.nbf;
    inactive |= token.inactive;
  }
};

// Where simdjson, which has just returned, put registers full of text aside.
[[gnu::noinline]] void wipe_stack() noexcept {
  std::array<char, 4096> below;
  wipe(below.data(), below.size());
}

}  // namespace

class ClaimsReader::Parser {
 public:
  // False where there is no memory.
  bool ready() noexcept {
    return bytes_ != nullptr && parser_.allocate(kValueBytesMax, kDepthMax) == simdjson::SUCCESS &&
           parser_.doc.allocate(kValueBytesMax) == simdjson::SUCCESS;
  }

  // The bytes to put JSON into, at most kValueBytesMax of them.
  [[nodiscard]] char* bytes() noexcept { return bytes_.get(); }

  // Nothing of the text is left behind.
  Claims parse(std::size_t size, UnixTime now) noexcept {
    const Claims claims = claims_of(size, now);
    wipe(bytes_.get(), size);
    // As many bytes as simdjson may have written there of so long a text (document::allocate).
    wipe(parser_.doc.string_buf.get(), 5 * size / 3 + simdjson::SIMDJSON_PADDING);
    wipe_stack();
    return claims;
  }

 private:
  Claims claims_of(std::size_t size, UnixTime now) noexcept {
    dom::object object;
    const auto error = parser_.parse(bytes_.get(), size, false).get(object);
    if (error != simdjson::SUCCESS) return {};
    Said said;
    said.take(object, false);
    return said.claims(now);
  }

  // The parser reads, but does not heed, what follows the text.
  std::unique_ptr<char[]> bytes_{
      new (std::nothrow) char[kValueBytesMax + simdjson::SIMDJSON_PADDING]{}};
  dom::parser parser_{kValueBytesMax};
};

ClaimsReader::ClaimsReader() noexcept = default;
ClaimsReader::~ClaimsReader() = default;

Claims ClaimsReader::read(std::string_view value, UnixTime now) noexcept {
  value = trimmed(value);
  if (value.empty() || value.size() > kValueBytesMax) return {};
  const bool is_json = value.front() == '{';
  const std::string_view payload = is_json ? std::string_view() : jwt_payload(value);
  if (!is_json && payload.empty()) return {};
  if (!parser_) {
    parser_ = std::make_unique<Parser>();
    if (!parser_->ready()) {
      parser_.reset();
      return {};
    }
  }
  if (is_json) {
    value.copy(parser_->bytes(), value.size());
    return parser_->parse(value.size(), now);
  }
  const std::optional<std::size_t> size = decode_base64url(payload, parser_->bytes());
  if (size) return parser_->parse(*size, now);
  wipe(parser_->bytes(), payload.size());
  return {};
}

}  // namespace tokenring
