#include "app/jwt.hpp"

#include <cjose/cjose.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace tokenring {

namespace {

constexpr std::size_t kTokenBytesMax = 16384;
constexpr std::array<std::string_view, 9> kAlgorithms{"RS256", "RS384", "RS512", "PS256", "PS384",
                                                      "PS512", "ES256", "ES384", "ES512"};

struct ReleaseJwk {
  void operator()(cjose_jwk_t* key) const noexcept { cjose_jwk_release(key); }
};
struct ReleaseJws {
  void operator()(cjose_jws_t* token) const noexcept { cjose_jws_release(token); }
};

// Whether it is base64url without padding (RFC 7515, 2). cjose asserts that of what it decodes, and
// so would end the process.
bool is_coded(std::string_view text) {
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return text.size() % 4 != 1 && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_compact(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  return first != last && is_coded(token.substr(0, first)) &&
         is_coded(token.substr(first + 1, last - first - 1)) && is_coded(token.substr(last + 1));
}

// RFC 7518, 6.2.1.1; others are registered beside these, and sign nothing here.
bool is_known_curve(std::string_view name) {
  return name == "P-256" || name == "P-384" || name == "P-521";
}

constexpr std::size_t kModulusDigitsMin = 342;  // Base64 of 2048 bits.

// What is no string is none that is known here.
std::string word_in(const nlohmann::json& object, const char* name, const char* otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  return found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

struct JwkSet::Key {
  std::string id;  // Empty: it has none.
  bool is_rsa = false;
  std::unique_ptr<cjose_jwk_t, ReleaseJwk> key;
};

JwkSet::JwkSet() noexcept = default;
JwkSet::JwkSet(JwkSet&&) noexcept = default;
JwkSet& JwkSet::operator=(JwkSet&&) noexcept = default;
JwkSet::~JwkSet() = default;

Result<JwkSet, std::string> JwkSet::parse(std::string_view text) {
  const auto set = nlohmann::json::parse(text, nullptr, false);
  if (!set.is_object() || !set.contains("keys") || !set["keys"].is_array())
    return unexpected(std::string("is no JWK set; give {\"keys\": [...]}"));
  JwkSet made;
  for (const auto& entry : set["keys"]) {
    if (!entry.is_object()) return unexpected(std::string("has a key that is no object"));
    const std::string kind = word_in(entry, "kty", "");
    if ((kind != "RSA" && kind != "EC") || word_in(entry, "use", "sig") != "sig") continue;
    if (kind == "EC" && !is_known_curve(word_in(entry, "crv", ""))) continue;
    if (kind == "RSA" && word_in(entry, "n", "").size() < kModulusDigitsMin)
      return unexpected(std::string("has an RSA key of fewer than 2048 bits (RFC 7518, 3.3)"));
    // What is private has no place here, and is not read.
    nlohmann::json known;
    for (const char* const name : {"kty", "kid", "crv"})
      if (entry.contains(name)) known[name] = entry[name];
    for (const char* const name : {"n", "e", "x", "y"}) {
      if (!entry.contains(name)) continue;
      known[name] = word_in(entry, name, "");
      if (!is_coded(known[name].get_ref<const std::string&>()))
        return unexpected(std::string("has a key that cannot be read: it is not base64url"));
    }
    const std::string written = known.dump();
    cjose_err error;
    auto key = std::make_unique<Key>();
    key->key.reset(cjose_jwk_import(written.data(), written.size(), &error));
    if (key->key == nullptr)
      return unexpected(fmt::format("has a key that cannot be read: {}", error.message));
    key->id = word_in(entry, "kid", "");
    key->is_rsa = kind == "RSA";
    made.keys_.push_back(std::move(key));
  }
  if (made.keys_.empty()) return unexpected(std::string("has no RSA or EC key that signs"));
  if (made.keys_.size() > kKeysMax)
    return unexpected(fmt::format("has more than {} keys", kKeysMax));
  return made;
}

Result<std::string, JwtRefusal> JwkSet::verify(std::string_view token,
                                               std::string_view type) const {
  const auto refuse = [](JwtFault fault, const char* why) {
    return unexpected(JwtRefusal{fault, why});
  };
  if (token.size() > kTokenBytesMax || !is_compact(token))
    return refuse(JwtFault::kForm, "is no signed token");
  cjose_err error;
  std::unique_ptr<cjose_jws_t, ReleaseJws> jws(
      cjose_jws_import(token.data(), token.size(), &error));
  if (jws == nullptr) return refuse(JwtFault::kForm, "is no signed token");
  cjose_header_t* const head = cjose_jws_get_protected(jws.get());
  const auto word = [&](const char* name) {
    cjose_err ignored;
    const char* const text = cjose_header_get(head, name, &ignored);
    return std::string(text != nullptr ? text : "");
  };
  const std::string algorithm = word("alg");
  if (std::find(kAlgorithms.begin(), kAlgorithms.end(), algorithm) == kAlgorithms.end())
    return refuse(JwtFault::kKey, "is signed in a way that does not count here");
  if (!type.empty() && word("typ") != type) return refuse(JwtFault::kForm, "is of another kind");
  // A list, if it is right.
  if (char* const extensions = cjose_header_get_raw(head, "crit", &error); extensions != nullptr) {
    cjose_get_dealloc()(extensions);
    return refuse(JwtFault::kForm, "asks for an extension");
  }
  const std::string id = word("kid");
  bool was_tried = false;
  for (const auto& key : keys_) {
    if (key->is_rsa == algorithm.starts_with("ES")) continue;
    if (!id.empty() && !key->id.empty() && id != key->id) continue;
    was_tried = true;
    if (!cjose_jws_verify(jws.get(), key->key.get(), &error)) continue;
    std::uint8_t* plain = nullptr;
    std::size_t size = 0;
    if (!cjose_jws_get_plaintext(jws.get(), &plain, &size, &error)) break;
    return std::string(reinterpret_cast<const char*>(plain), size);
  }
  return refuse(was_tried ? JwtFault::kSignature : JwtFault::kKey, "is signed by none of the keys");
}

}  // namespace tokenring
