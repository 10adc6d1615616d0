// What holds for every envelope: it opens to what was sealed, and for nobody and nothing else.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "seal_kit.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

const ValueIdentity kIdentity{.space = kSess, .client_key = "key", .client_flags = 7};

std::string head_of(const std::string& envelope) {
  return envelope.substr(16, 12);
}
std::string nonce_of(const std::string& envelope) {
  return envelope.substr(16, 24);
}

bool is_zeros(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

struct Rig {
  SeededEntropy entropy;
  Sealer sealer{namespace_keys(), entropy};
};

}  // namespace

TEST_CASE("what is sealed opens to the same, at every size") {
  Rig rig;
  std::mt19937_64 random(7);
  std::vector<std::size_t> sizes(2049);
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = i;
  sizes.insert(sizes.end(), {4096, 65'535, 65'536, 1'000'003, 8'388'608});
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    std::string plain(size, '\0');
    for (char& c : plain) c = static_cast<char>(random());
    SealOptions options{.exp = {kNow.seconds + 60}, .iat = {kNow.seconds - 5}};
    if (size % 2 == 1) options.generation = random();
    options.zstd = size % 3 == 0;
    options.control = size % 5 == 0;
    const std::string envelope = sealed(rig.sealer, kIdentity, plain, options);
    const Opened back = opened(rig.sealer, kIdentity, envelope);
    REQUIRE(back.result.opened());
    REQUIRE(back.plain == plain);
    REQUIRE(back.result.header.generation == options.generation);
    REQUIRE(back.result.header.zstd == options.zstd);
    REQUIRE(back.result.header.control == options.control);
    REQUIRE(back.result.header.exp == options.exp.seconds);
    REQUIRE(back.result.header.iat == options.iat.seconds);
  }
}

TEST_CASE("a flip of any bit, anywhere, does not open and leaves nothing") {
  Rig rig;
  for (const bool with_generation : {false, true}) {
    SealOptions options;
    if (with_generation) options.generation = 0x0102030405060708;
    const std::string plain = "a secret of 26 characters.";
    const std::string envelope = sealed(rig.sealer, kIdentity, plain, options);
    for (std::size_t bit = 0; bit < 8 * envelope.size(); ++bit) {
      std::string changed = envelope;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
      CAPTURE(bit);
      std::string out(changed.size(), '\x55');
      const OpenResult result = rig.sealer.open(kIdentity, changed, kNow, out.data());
      REQUIRE(!result.opened());
      REQUIRE(result.size == 0);
      REQUIRE(out.find(plain.substr(0, 4)) == std::string::npos);
      if (result.outcome == OpenOutcome::kAuthFail) {
        const std::size_t head = (changed[3] & 0x20) != 0 ? 48 : 40;
        REQUIRE(is_zeros(std::string_view(out).substr(0, out.size() - head - 16)));
      }
    }
  }
}

TEST_CASE("a value opens for its own key, flags and namespace only") {
  Rig rig;
  const std::string envelope = sealed(rig.sealer, kIdentity, "secret");
  const auto outcome = [&](const ValueIdentity& other) {
    return opened(rig.sealer, other, envelope).result.outcome;
  };
  CHECK(outcome(kIdentity) == OpenOutcome::kOpened);
  for (const std::string_view key : {"kex", "ke", "keyy", "", "Key"})
    CHECK(outcome({.space = kSess, .client_key = key, .client_flags = 7}) ==
          OpenOutcome::kAuthFail);
  for (std::uint32_t bit = 0; bit < 32; ++bit)
    CHECK(outcome({.space = kSess, .client_key = "key", .client_flags = 7U ^ 1U << bit}) ==
          OpenOutcome::kAuthFail);
  CHECK(outcome({.space = kAuth, .client_key = "key", .client_flags = 7}) ==
        OpenOutcome::kAuthFail);
}

TEST_CASE("what is cut short, or goes on, does not open") {
  Rig rig;
  for (const bool with_generation : {false, true}) {
    SealOptions options;
    if (with_generation) options.generation = 5;
    const std::string envelope = sealed(rig.sealer, kIdentity, "0123456789", options);
    for (std::size_t size = 0; size < envelope.size(); ++size) {
      CAPTURE(size);
      const OpenOutcome outcome =
          opened(rig.sealer, kIdentity, envelope.substr(0, size)).result.outcome;
      if (size < 2)
        CHECK(outcome == OpenOutcome::kPlaintext);
      else if (size < sealed_size(0, with_generation))
        CHECK(outcome == OpenOutcome::kMalformed);
      else
        CHECK(outcome == OpenOutcome::kAuthFail);
    }
    CHECK(opened(rig.sealer, kIdentity, envelope + "x").result.outcome == OpenOutcome::kAuthFail);
  }
}

TEST_CASE("each reason not to open has its name") {
  Rig rig;
  const std::string envelope = sealed(rig.sealer, kIdentity, "v");
  const auto with = [&](std::size_t at, char byte) {
    std::string changed = envelope;
    changed[at] = byte;
    return opened(rig.sealer, kIdentity, changed).result.outcome;
  };
  CHECK(opened(rig.sealer, kIdentity, "{\"active\":true}").result.outcome ==
        OpenOutcome::kPlaintext);
  CHECK(with(0, '\xf4') == OpenOutcome::kPlaintext);
  CHECK(with(2, 2) == OpenOutcome::kMalformed);
  CHECK(with(3, 2) == OpenOutcome::kMalformed);
  CHECK(with(3, '\x81') == OpenOutcome::kMalformed);
  CHECK(with(4, 0) == OpenOutcome::kUnknownKey);
  CHECK(with(12, 0) == OpenOutcome::kAuthFail);
  CHECK(name_of(OpenOutcome::kUnknownKey) == "unknown_key");
  CHECK(name_of(OpenOutcome::kAuthFail) == "auth_fail");
}

TEST_CASE("an expired value does not open, and a changed expiry is a forgery") {
  Rig rig;
  const std::string envelope =
      sealed(rig.sealer, kIdentity, "secret", {.exp = {kNow.seconds + 10}});
  CHECK(opened(rig.sealer, kIdentity, envelope, {kNow.seconds + 9}).result.opened());
  const Opened late = opened(rig.sealer, kIdentity, envelope, {kNow.seconds + 10});
  CHECK(late.result.outcome == OpenOutcome::kExpired);
  CHECK(late.result.size == 0);
  CHECK(is_zeros(late.plain));
  std::string forever = envelope;
  std::fill_n(forever.begin() + 8, 4, '\0');
  CHECK(opened(rig.sealer, kIdentity, forever, {kNow.seconds + 10}).result.outcome ==
        OpenOutcome::kAuthFail);
  // What expired before 1970 must not turn into "no expiry", nor what is beyond 32 bits.
  const std::string old = sealed(rig.sealer, kIdentity, "v", {.exp = {-1}});
  CHECK(opened(rig.sealer, kIdentity, old).result.outcome == OpenOutcome::kExpired);
  const std::string far = sealed(rig.sealer, kIdentity, "v", {.exp = {1LL << 32}});
  CHECK(opened(rig.sealer, kIdentity, far).result.header.exp == UINT32_MAX);
}

TEST_CASE("no nonce is used twice, and its head stays for an hour") {
  Rig rig;
  std::set<std::string> nonces;
  std::set<std::string> heads;
  for (int i = 0; i < 2000; ++i) {
    const std::string envelope = sealed(rig.sealer, kIdentity, "v");
    nonces.insert(nonce_of(envelope));
    heads.insert(head_of(envelope));
  }
  CHECK(nonces.size() == 2000);
  CHECK(heads.size() == 1);
  const std::int64_t hour = Sealer::kHeadSecondsMax;
  const auto head_at = [&](std::int64_t seconds) {
    return head_of(sealed(rig.sealer, kIdentity, "v", {}, {kNow.seconds + seconds}));
  };
  CHECK(head_at(hour - 1) == *heads.begin());
  const std::string second = head_at(hour);
  CHECK(second != *heads.begin());
  CHECK(head_at(hour + 1) == second);
  CHECK(head_at(hour - 1) != second);  // The clock was set back.
  // Each namespace has a head of its own.
  CHECK(head_of(sealed(rig.sealer, {.space = kAuth, .client_key = "k"}, "v")) !=
        head_of(sealed(rig.sealer, kIdentity, "v")));
}

TEST_CASE("a head is drawn anew after its number of messages") {
  CHECK(SealerLimits{}.head_messages_max == 1U << 24);
  SeededEntropy entropy;
  Sealer sealer(namespace_keys(), entropy, {.head_messages_max = 1000});
  std::set<std::string> heads;
  for (int i = 0; i < 5000; ++i) heads.insert(head_of(sealed(sealer, kIdentity, "")));
  CHECK(heads.size() == 5);
}

TEST_CASE("a forked child draws a head of its own") {
  Rig rig;
  const std::string before = head_of(sealed(rig.sealer, kIdentity, "v"));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string envelope = sealed(rig.sealer, kIdentity, "v");
    const bool written =
        write(ends[1], envelope.data(), envelope.size()) == static_cast<ssize_t>(envelope.size());
    _exit(written ? 0 : 1);
  }
  REQUIRE(child > 0);
  std::string envelope(sealed_size(1, false), '\0');
  CHECK(read(ends[0], envelope.data(), envelope.size()) == static_cast<ssize_t>(envelope.size()));
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  close(ends[0]);
  close(ends[1]);
  CHECK(head_of(envelope) != before);
  CHECK(head_of(sealed(rig.sealer, kIdentity, "v")) == before);
  CHECK(opened(rig.sealer, kIdentity, envelope).result.opened());
}

TEST_CASE("new keys open the old ones' values, seal with the new one and draw a new head") {
  Rig rig;
  const std::string old = sealed(rig.sealer, kIdentity, "v");
  CHECK(opened(rig.sealer, kIdentity, old).result.opened());
  rig.sealer.use(namespace_keys(kRotatedKeyFile));
  CHECK(opened(rig.sealer, kIdentity, old).plain == "v");
  const std::string fresh = sealed(rig.sealer, kIdentity, "v");
  CHECK(fresh.substr(4, 4) != old.substr(4, 4));
  CHECK(head_of(fresh) != head_of(old));
  CHECK(opened(rig.sealer, kIdentity, fresh).plain == "v");
  rig.sealer.use(namespace_keys());
  CHECK(opened(rig.sealer, kIdentity, fresh).result.outcome == OpenOutcome::kUnknownKey);
  CHECK(opened(rig.sealer, kIdentity, old).result.opened());
}

TEST_CASE("nothing is sealed without entropy") {
  Rig rig;
  std::string out(sealed_size(1, false), '\x55');
  rig.entropy.fails = true;
  CHECK(rig.sealer.seal(kIdentity, "v", {}, kNow, out.data()) == 0);
  CHECK(out == std::string(out.size(), '\x55'));
  rig.entropy.fails = false;
  CHECK(rig.sealer.seal(kIdentity, "v", {}, kNow, out.data()) == out.size());
  rig.entropy.fails = true;  // The head is there, but some time its pool is empty.
  std::size_t done = 1;
  while (done < 10'000 && rig.sealer.seal(kIdentity, "v", {}, kNow, out.data()) > 0) ++done;
  CHECK(done < 10'000);
}

TEST_CASE("values of more writers than there are kept subkeys open all the same") {
  SeededEntropy entropy;
  Sealer reader(namespace_keys(), entropy, {.open_contexts = 4});
  std::vector<std::string> envelopes;
  for (std::uint64_t writer = 0; writer < 64; ++writer) {
    SeededEntropy own(100 + writer);
    Sealer sealer(namespace_keys(), own);
    for (const NamespaceId space : {kSess, kAuth})
      envelopes.push_back(sealed(sealer, {.space = space, .client_key = "k"}, "value"));
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < envelopes.size(); ++i) {
      const NamespaceId space = i % 2 == 0 ? kSess : kAuth;
      const NamespaceId other = i % 2 == 0 ? kAuth : kSess;
      CHECK(opened(reader, {.space = space, .client_key = "k"}, envelopes[i]).plain == "value");
      CHECK(opened(reader, {.space = other, .client_key = "k"}, envelopes[i]).result.outcome ==
            OpenOutcome::kAuthFail);
    }
  }
}

TEST_CASE("a client key of 8 KiB and a namespace of 255 bytes are bound in full") {
  SeededEntropy entropy;
  const std::vector<std::string> names{std::string(255, 'n'), std::string(254, 'n')};
  Sealer sealer(NamespaceKeys::derive(*keyring_of(kKeyFile), names), entropy);
  const std::string key(kClientKeyBytesMax, 'k');
  const std::string envelope = sealed(sealer, {.space = {0}, .client_key = key}, "v");
  CHECK(opened(sealer, {.space = {0}, .client_key = key}, envelope).plain == "v");
  const std::string other = key.substr(1) + "x";
  CHECK(!opened(sealer, {.space = {0}, .client_key = other}, envelope).result.opened());
  CHECK(!opened(sealer, {.space = {1}, .client_key = key}, envelope).result.opened());
}
