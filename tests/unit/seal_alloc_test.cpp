// After warm-up neither sealing, opening nor blinding allocates, here or in OpenSSL.
#include <doctest/doctest.h>

#include "count_openssl_allocations.hpp"
#include "seal/blind.hpp"
#include "seal_kit.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

const bool kCountsOpenSsl = count_openssl_allocations();

}  // namespace

TEST_CASE("sealing, opening and blinding allocate nothing after warm-up") {
  REQUIRE(kCountsOpenSsl);
  SeededEntropy entropy;
  // Few contexts, so that the values of more writers are keyed anew all the time, and heads that
  // last for few messages.
  Sealer sealer(namespace_keys(), entropy, {.open_contexts = 2, .head_messages_max = 64});
  const ValueIdentity identity{.space = kAuth, .client_key = "auth_token:{u}:k"};
  std::vector<std::string> envelopes;
  for (std::uint64_t writer = 0; writer < 16; ++writer) {
    SeededEntropy own(writer + 10);
    Sealer other(namespace_keys(), own);
    envelopes.push_back(sealed(other, identity, std::string(500, 'v')));
  }
  const auto keyring = keyring_of(kKeyFile);
  const std::string plain(500, 'p');
  std::string out(1024, '\0');
  bool all_well = true;
  const auto round = [&] {
    for (const std::string& envelope : envelopes)
      all_well &= sealer.open(identity, envelope, kNow, out.data()).opened();
    const std::string_view whole = envelopes[0];
    all_well &= !sealer.open(identity, whole.substr(1), kNow, out.data()).opened();
    all_well &= !sealer.open(identity, whole.substr(0, 200), kNow, out.data()).opened();
    for (int i = 0; i < 10; ++i)
      all_well &= sealer.seal(identity, plain, {.generation = 7}, kNow, out.data()) > 0;
    keyring->blinder().blind({.space = "auth_token:", .key = identity.client_key, .tag = "u"}, "{}",
                             out.data());
    keyring->audit().refer({.space = "auth_token:", .key = identity.client_key}, out.data());
  };
  for (int i = 0; i < 100; ++i) round();
  const std::size_t before = allocations;
  for (int i = 0; i < 1000; ++i) round();
  const std::size_t allocated = allocations - before;
  CHECK(before > 0);  // It does count.
  CHECK(allocated == 0);
  CHECK(all_well);
}
