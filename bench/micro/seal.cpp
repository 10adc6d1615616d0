// What sealing and blinding cost, next to the least that OpenSSL can do: a context that was keyed
// once, where a message sets the nonce only. The additional data is the same.
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <vector>

#include "micro.hpp"
#include "seal/blind.hpp"
#include "tokenring/envelope.hpp"
#include "unit/count_openssl_allocations.hpp"
#include "unit/seal_keys.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;
using tokenring::micro::Loop;

namespace {

constexpr std::string_view kSpace = "auth_token:";
constexpr std::string_view kKey = "auth_token:{user42}:0123456789abcdef";
constexpr UnixTime kNow{1'790'000'000};
constexpr ValueIdentity kIdentity{.space = {0}, .client_key = kKey, .client_flags = 7};
// Header, flags, sizes, namespace and key.
constexpr std::size_t kAadBytes = 16 + 4 + 1 + kSpace.size() + 2 + kKey.size();

std::shared_ptr<const Keyring> keyring() {
  return Keyring::parse(kKeyFile, "keys").value();
}

Sealer& sealer() {
  static Sealer sealer(NamespaceKeys::derive(*keyring(), std::vector{std::string(kSpace)}),
                       system_entropy());
  return sealer;
}

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

struct Raw {
  explicit Raw(bool sealing) : context(EVP_CIPHER_CTX_new()) {
    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    const std::string key(32, 'k');
    EVP_CipherInit_ex2(context, cipher, bytes_of(key), nullptr, sealing ? 1 : 0, nullptr);
    EVP_CIPHER_free(cipher);
  }
  ~Raw() { EVP_CIPHER_CTX_free(context); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  // True if all went well.
  bool pass(const std::string& in, std::string& out, std::string& tag, bool sealing) {
    int written = 0;
    bool ok = EVP_CipherInit_ex2(context, nullptr, nullptr, bytes_of(nonce), -1, nullptr) == 1;
    ok &= EVP_CipherUpdate(context, nullptr, &written, bytes_of(aad), kAadBytes) == 1;
    ok &= EVP_CipherUpdate(context, bytes_of(out), &written, bytes_of(in),
                           static_cast<int>(in.size())) == 1;
    if (!sealing) ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag.data()) == 1;
    ok &= EVP_CipherFinal_ex(context, bytes_of(out), &written) == 1;
    if (sealing) ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag.data()) == 1;
    return ok;
  }

  EVP_CIPHER_CTX* context;
  std::string nonce = std::string(12, 'n');
  std::string aad = std::string(kAadBytes, 'a');
};

void raw_seal(benchmark::State& state) {
  Raw raw(true);
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  std::string out(plain.size() + 16, '\0');
  std::string tag(16, '\0');
  const Loop loop(state);
  for (auto _ : state) {
    if (!raw.pass(plain, out, tag, true)) state.SkipWithError("failed");
    benchmark::DoNotOptimize(out.data());
  }
}

void raw_open(benchmark::State& state) {
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  std::string cipher(plain.size() + 16, '\0');
  std::string tag(16, '\0');
  Raw(true).pass(plain, cipher, tag, true);
  cipher.resize(plain.size());
  Raw raw(false);
  std::string out(plain.size() + 16, '\0');
  const Loop loop(state);
  for (auto _ : state) {
    if (!raw.pass(cipher, out, tag, false)) state.SkipWithError("failed");
    benchmark::DoNotOptimize(out.data());
  }
}

void seal(benchmark::State& state) {
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  std::string out(sealed_size(plain.size(), false), '\0');
  static_cast<void>(sealer().seal(kIdentity, plain, {}, kNow, out.data()));
  const Loop loop(state);
  for (auto _ : state) {
    if (sealer().seal(kIdentity, plain, {}, kNow, out.data()) == 0) state.SkipWithError("failed");
    benchmark::DoNotOptimize(out.data());
  }
}

void open(benchmark::State& state) {
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  std::string sealed(sealed_size(plain.size(), false), '\0');
  static_cast<void>(sealer().seal(kIdentity, plain, {}, kNow, sealed.data()));
  std::string out(sealed.size(), '\0');
  static_cast<void>(sealer().open(kIdentity, sealed, kNow, out.data()));
  const Loop loop(state);
  for (auto _ : state) {
    if (!sealer().open(kIdentity, sealed, kNow, out.data()).opened()) state.SkipWithError("failed");
    benchmark::DoNotOptimize(out.data());
  }
}

void blind(benchmark::State& state) {
  const auto keys = keyring();
  const std::string key =
      std::string(kSpace) + std::string(static_cast<std::size_t>(state.range(0)), 'k');
  char out[blinded_size_max(kSpace.size())];
  const Loop loop(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        keys->blinder().blind({.space = kSpace, .key = key, .tag = {}}, "{}", out));
  }
}

// Keys of so many users in turn. Of more than BlindedTags has places, most are new each time.
void blind_with_tag(benchmark::State& state) {
  const auto keys = keyring();
  std::vector<std::string> users;
  for (int i = 0; i < state.range(0); ++i) users.push_back("user" + std::to_string(10000 + i));
  BlindedTags tags;
  char out[blinded_size_max(kSpace.size())];
  std::size_t at = 0;
  const Loop loop(state);
  for (auto _ : state) {
    if (++at == users.size()) at = 0;
    benchmark::DoNotOptimize(
        keys->blinder().blind({.space = kSpace, .key = kKey, .tag = users[at]}, "{}", out, &tags));
  }
}

void sizes(benchmark::internal::Benchmark* bench) {
  for (const int size : {64, 256, 1024, 4096, 65536}) bench->Arg(size);
  micro::least(bench);
}

BENCHMARK(raw_seal)->Apply(sizes);
BENCHMARK(seal)->Apply(sizes);
BENCHMARK(raw_open)->Apply(sizes);
BENCHMARK(open)->Apply(sizes);
BENCHMARK(blind)->Arg(24)->Arg(1024)->Arg(8000)->Apply(micro::least);
BENCHMARK(blind_with_tag)->Arg(1)->Arg(100)->Arg(10000)->Apply(micro::least);

}  // namespace

int main(int argc, char** argv) {
  if (!count_openssl_allocations()) return 1;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
