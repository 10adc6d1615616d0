// The published numbers: XAES-256-GCM's (c2sp.org/XAES-256-GCM) and the envelope's own.
#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <memory>

#include "seal/hkdf.hpp"
#include "seal/xaes.hpp"
#include "seal_kit.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

std::string xaes_seal(std::string_view key_bytes, std::string_view nonce, std::string_view plain,
                      std::string_view aad) {
  REQUIRE(key_bytes.size() == kXaesKeyBytes);
  REQUIRE(nonce.size() == kXaesNonceBytes);
  XaesKey key;
  std::memcpy(key.key, key_bytes.data(), sizeof key.key);
  XaesDeriver deriver;
  deriver.prepare(key);
  unsigned char subkey[kXaesKeyBytes];
  deriver.subkey(key, nonce.data(), subkey);
  GcmContext seal;
  seal.set_sealing_key(subkey);
  const char* const tail = nonce.data() + kXaesNonceHeadBytes;
  std::string out(plain.size() + kXaesTagBytes, '\0');
  seal.seal(tail, aad, plain, out.data());

  GcmContext open;
  open.set_opening_key(subkey);
  std::string back(plain.size(), '\0');
  REQUIRE(open.open(tail, aad, std::string_view(out).substr(0, plain.size()),
                    out.data() + plain.size(), back.data()));
  REQUIRE(back == plain);
  return out;
}

std::string shake128(std::string_view in, std::size_t size) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  std::string out(size, '\0');
  REQUIRE(EVP_DigestInit_ex(context.get(), EVP_shake128(), nullptr) == 1);
  REQUIRE(EVP_DigestUpdate(context.get(), in.data(), in.size()) == 1);
  REQUIRE(EVP_DigestFinalXOF(context.get(), reinterpret_cast<unsigned char*>(out.data()), size) ==
          1);
  return out;
}

// Hands out the given bytes from the front, and then zeros.
class FixedEntropy final : public Entropy {
 public:
  explicit FixedEntropy(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] bool fill(std::span<unsigned char> out) noexcept override {
    std::memset(out.data(), 0, out.size());
    std::memcpy(out.data(), bytes_.data(), std::min(bytes_.size(), out.size()));
    return true;
  }

 private:
  std::string bytes_;
};

}  // namespace

TEST_CASE("XAES-256-GCM gives C2SP's ciphertexts") {
  const std::string nonce = "ABCDEFGHIJKLMNOPQRSTUVWX";
  CHECK(hex_of(xaes_seal(std::string(32, '\1'), nonce, "XAES-256-GCM", "")) ==
        "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
  CHECK(hex_of(xaes_seal(std::string(32, '\3'), nonce, "XAES-256-GCM", "c2sp.org/XAES-256-GCM")) ==
        "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

TEST_CASE("K1 and the subkey are C2SP's") {
  XaesKey key;
  std::memset(key.key, 1, sizeof key.key);
  XaesDeriver deriver;
  deriver.prepare(key);
  CHECK(hex_of({reinterpret_cast<const char*>(key.k1), sizeof key.k1}) ==
        "e531954aca063d5b8d9c47a47d4cc6f0");
  std::string subkey(32, '\0');
  deriver.subkey(key, "ABCDEFGHIJKL", reinterpret_cast<unsigned char*>(subkey.data()));
  CHECK(hex_of(subkey) == "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b");
}

TEST_CASE("10,000 random messages hash to C2SP's number") {
  constexpr int kMessages = 10'000;
  const std::string stream = shake128("", kMessages * (32 + 24 + 1 + 255 + 1 + 255));
  REQUIRE(hex_of(stream.substr(0, 16)) == "7f9c2ba4e88f827d616045507605853e");
  std::string_view rest = stream;
  const auto take = [&](std::size_t size) {
    const std::string_view part = rest.substr(0, size);
    rest.remove_prefix(size);
    return part;
  };
  const auto take_sized = [&] { return take(static_cast<unsigned char>(take(1)[0])); };
  std::string ciphertexts;
  for (int i = 0; i < kMessages; ++i) {
    const std::string_view key = take(32);
    const std::string_view nonce = take(24);
    const std::string_view plain = take_sized();
    const std::string_view aad = take_sized();
    ciphertexts += xaes_seal(key, nonce, plain, aad);
  }
  CHECK(hex_of(shake128(ciphertexts, 32)) ==
        "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

TEST_CASE("an envelope has just these bytes") {
  const std::string expected = bytes_of_hex(
      "f5c7010175d3c6996ab13f046ab13b80a0a1a2a3a4a5a6a7a8a9aaabb0b1b2b3b4b5b6b7b8b9babb"
      "70fad892c9510d0eb1c8fdc431df49cb2e87ab92e5e99f783a4de46f3db184");
  FixedEntropy entropy(bytes_of_hex("a0a1a2a3a4a5a6a7a8a9aaabb0b1b2b3b4b5b6b7b8b9babb"));
  Sealer sealer(namespace_keys(), entropy);
  const ValueIdentity identity{.space = kSess, .client_key = "{u42}:tok", .client_flags = 7};
  CHECK(sealed(sealer, identity, R"({"active":true})",
               {.exp = {1'790'000'900}, .iat = {1'790'000'000}}) == expected);
  const Opened back = opened(sealer, identity, expected);
  CHECK(back.result.opened());
  CHECK(back.plain == R"({"active":true})");
  CHECK(back.result.header.key_id == 0x75d3c699);
  CHECK(back.result.header.exp == 1'790'000'900);
  CHECK(back.result.header.iat == 1'790'000'000);
}

TEST_CASE("HKDF is RFC 5869's with the salt tokenring/1") {
  // From `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:abc -kdfopt salt:tokenring/1
  // -kdfopt info:xy HKDF`.
  std::string out(32, '\0');
  const unsigned char key[] = {'a', 'b', 'c'};
  Hkdf(key).derive("x", "y", {reinterpret_cast<unsigned char*>(out.data()), out.size()});
  CHECK(hex_of(out) == "81d79f92e9d66230a16f56cdbaf30a5078180625d72957dcb89ac0cfe0615948");
}
