// Frames of compressed values: small, padded, bounded.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <set>

#include "seal/compress.hpp"
#include "seal_kit.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

constexpr std::size_t kMax = 1 << 20;

std::string random_text(std::mt19937_64& random, std::size_t size) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += kAlphabet[random() % 64];
  return text;
}

// A token introspection response (RFC 7662) as an authorization server writes it; names, ids and
// times differ from one to the next.
std::string introspection(std::mt19937_64& random) {
  constexpr std::string_view kScopes[] = {"openid",       "profile",       "email", "orders:read",
                                          "orders:write", "invoices:read", "admin"};
  constexpr std::string_view kClients[] = {"web-shop", "mobile-app", "back-office", "partner-api"};
  std::string scope;
  for (const std::string_view each : kScopes)
    if (random() % 2 == 0) scope.append(scope.empty() ? "" : " ").append(each);
  const std::uint64_t iat = 1'790'000'000 + random() % 1'000'000;
  const std::string_view client = kClients[random() % 4];
  return fmt::format(
      R"({{"active":true,"scope":"{}","client_id":"{}","username":"user{}@example.com",)"
      R"("token_type":"Bearer","exp":{},"iat":{},"nbf":{},"sub":"{:08x}-{:04x}-4{:03x}-a{:03x}",)"
      R"("aud":["https://api.example.com/","https://{}.example.com/"],)"
      R"("iss":"https://login.example.com/realms/customers","jti":"{}",)"
      R"("realm_access":{{"roles":["offline_access","uma_authorization","default-roles-customers"]}},)"
      R"("resource_access":{{"account":{{"roles":["manage-account","view-profile"]}}}},)"
      R"("session_state":"{}","acr":"1","azp":"{}","email_verified":{}}})",
      scope, client, random() % 100'000, iat + 900, iat, iat, random() & 0xffffffff,
      random() & 0xffff, random() & 0xfff, random() & 0xfff, client, random_text(random, 16),
      random_text(random, 22), client, random() % 2 == 0);
}

std::shared_ptr<const Dictionary> trained() {
  static const auto kDictionary = [] {
    std::mt19937_64 random(1);
    std::vector<std::string> samples;
    for (int i = 0; i < 1000; ++i) samples.push_back(introspection(random));
    const auto bytes = train_dictionary(samples, 8192);
    if (!bytes) FAIL(bytes.error());
    return Dictionary::make(*bytes).value();
  }();
  return kDictionary;
}

std::string unpacked(Compressor& compressor, std::string_view frame, std::size_t max = kMax) {
  const auto size = Compressor::unpacked_size(frame, max);
  if (!size) return std::string(name_of(size.error()));
  std::string out(*size, '\x55');
  const auto done = compressor.unpack(frame, max, out.data());
  return done ? out : std::string(name_of(done.error()));
}

}  // namespace

TEST_CASE("introspection responses shrink to a third with a dictionary") {
  Compressor compressor({trained()});
  std::mt19937_64 random(2);
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t without = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string plain = introspection(random);
    const std::string frame(compressor.pack(plain, trained().get()));
    REQUIRE(!frame.empty());
    REQUIRE(unpacked(compressor, frame) == plain);
    before += plain.size();
    after += frame.size();
    without += compressor.pack(plain, nullptr).size();
  }
  MESSAGE("ratio ", static_cast<double>(before) / static_cast<double>(after),
          ", without a dictionary ", static_cast<double>(before) / static_cast<double>(without));
  CHECK(before >= 3 * after);
}

TEST_CASE("what does not shrink, or is small, is left as it is") {
  Compressor compressor;
  std::mt19937_64 random(3);
  CHECK(compressor.pack("", nullptr).empty());
  CHECK(compressor.pack(std::string(Compressor::kFloorBytes - 1, 'a'), nullptr).empty());
  CHECK(!compressor.pack(std::string(Compressor::kFloorBytes, 'a'), nullptr).empty());
  std::string noise(5000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  CHECK(compressor.pack(noise, nullptr).empty());
}

TEST_CASE("frames of every size come back, within the scratch that is kept and beyond") {
  Compressor compressor({trained()});
  std::mt19937_64 random(4);
  for (std::size_t size = 96; size < 5'000'000; size += 1 + size / 7) {
    CAPTURE(size);
    std::string plain = random_text(random, size / 8);
    plain.resize(size, 'x');
    for (const Dictionary* dictionary :
         {static_cast<const Dictionary*>(nullptr), trained().get()}) {
      const std::string frame(compressor.pack(plain, dictionary));
      if (frame.empty()) continue;
      REQUIRE(frame.size() < plain.size());
      REQUIRE(frame.size() == padded_size(frame.size()));
      REQUIRE(unpacked(compressor, frame, plain.size()) == plain);
    }
  }
}

TEST_CASE("lengths fall into few buckets, none much larger than its content") {
  std::set<std::size_t> buckets;
  for (std::size_t size = 1; size <= 65536; ++size) {
    const std::size_t padded = padded_size(size);
    REQUIRE(padded >= size);
    REQUIRE((padded - size < 32 || (padded - size) * 8 <= size));
    buckets.insert(padded);
  }
  CHECK(buckets.size() < 100);
  // Two values of nearly one length do not show which is which.
  Compressor compressor({trained()});
  std::mt19937_64 random(5);
  std::set<std::size_t> sizes;
  for (int i = 0; i < 200; ++i)
    sizes.insert(compressor.pack(introspection(random), trained().get()).size());
  CHECK(sizes.size() <= 8);
}

TEST_CASE("a frame that claims too much, or is damaged, gives nothing") {
  Compressor compressor({trained()});
  const std::string plain(1000, 'p');
  const std::string frame(compressor.pack(plain, nullptr));
  CHECK(unpacked(compressor, frame, 999) == "too_large");
  CHECK(unpacked(compressor, frame, 1000) == plain);
  for (std::size_t size = 0; size < 8; ++size)
    CHECK(unpacked(compressor, frame.substr(0, size)) == "malformed");
  CHECK(unpacked(compressor, std::string("\0\0\0\0\xff\xff\xff\xff\x7f\1x", 11)) == "too_large");
  CHECK(unpacked(compressor, std::string("\0\0\0\0\xff\xff\xff\xff\xff\1x", 11)) == "malformed");
  CHECK(unpacked(compressor, std::string("\0\0\0\1\1\1x", 7)) == "unknown_dictionary");
  // Says 1001 where there are 1000, and 999.
  for (const char change : {'\1', '\377'}) {
    std::string other = frame;
    other[4] = static_cast<char>(other[4] + change);
    CHECK(unpacked(compressor, other) == "malformed");
  }
  std::string out(plain.size() + 1, '\x55');
  std::string damaged = frame;
  damaged[8] = static_cast<char>(damaged[8] ^ 1);
  CHECK(!compressor.unpack(damaged, kMax, out.data()));
  CHECK(out.substr(0, 1000) == std::string(1000, '\0'));
  Compressor other;
  std::mt19937_64 random(6);
  CHECK(unpacked(other, compressor.pack(introspection(random), trained().get())) ==
        "unknown_dictionary");
}

TEST_CASE("a packed value is sealed as one and opens to the same") {
  SeededEntropy entropy;
  Sealer sealer(namespace_keys(), entropy);
  Compressor compressor({trained()});
  std::mt19937_64 random(7);
  const std::string plain = introspection(random);
  const ValueIdentity identity{.space = kSess, .client_key = "k"};
  const std::string envelope =
      sealed(sealer, identity, compressor.pack(plain, trained().get()), {.zstd = true});
  CHECK(envelope.size() * 2 < plain.size());
  char* const scratch = compressor.scratch(envelope.size());
  const OpenResult result = sealer.open(identity, envelope, kNow, scratch);
  REQUIRE(result.opened());
  CHECK(result.header.zstd);
  CHECK(unpacked(compressor, {scratch, result.size}) == plain);
}

TEST_CASE("what is no dictionary is refused with a reason") {
  const auto error = [](const auto& result) {
    return result ? std::string("no error") : result.error();
  };
  CHECK(error(Dictionary::make("{}")) == "is no dictionary; tokenring train-dictionary makes one");
  CHECK(error(Dictionary::make(std::string(2 << 20, 'x'))) ==
        "has 2097152 bytes; a dictionary has at most 1048576");
  std::mt19937_64 random(1);
  std::vector<std::string> samples(7, introspection(random));
  CHECK(error(train_dictionary(samples, 8192)) ==
        "7 samples; give at least 8, better some hundreds");
  CHECK(trained()->id() != 0);
}
