// Who a client is and what it may, piece by piece.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "policy/access.hpp"
#include "policy/users.hpp"
#include "seal/password.hpp"
#include "seal/secret.hpp"
#include "seeded_entropy.hpp"
#include "tokenring/parse.hpp"
#include "wire/login.hpp"

using namespace tokenring;
using tokenring::seal_kit::SeededEntropy;

namespace {

std::shared_ptr<const HmacKey> password_key() {
  const std::array<unsigned char, 32> bytes{1, 2, 3};
  return std::make_shared<const HmacKey>(bytes);
}

Result<std::shared_ptr<const UserBook>, std::string> book_of(std::string_view text) {
  return UserBook::parse(text, "users", password_key());
}

bool knows(const UserBook& book, std::string_view user, std::string_view password) {
  return book.has_plain(book.mac_of({user, password})) ||
         book.find_hashed({user, password}) != nullptr;
}

Peer from(std::string_view address) {
  Peer peer;
  peer.kind = Peer::Kind::kInternet;
  peer.address = parse_network(address).value().address;
  return peer;
}

Peer of_uid(std::uint32_t uid) {
  Peer peer;
  peer.kind = Peer::Kind::kUnix;
  peer.uid = uid;
  return peer;
}

Rights needed(std::string_view line) {
  Request request;
  REQUIRE(parse_request(line, request).kind == ParsedRequest::Kind::kRequest);
  return rights_needed(request);
}

}  // namespace

TEST_CASE("a hash is what another implementation makes of the password") {
  // Python: hashlib.pbkdf2_hmac("sha256", b"passwd", bytes(range(16)), 1000)
  const auto hash = parse_password_hash(
      "$pbkdf2-sha256$1000$AAECAwQFBgcICQoLDA0ODw==$"
      "eFPkuah51NUM+9a08q2Kbc9gBP9FRtcdmFSNPvUqhhU=");
  REQUIRE(hash.has_value());
  CHECK(hash->iterations == 1'000);
  CHECK(hash->salt[15] == 15);
  CHECK(derive_password("passwd", hash->salt, 1'000) == hash->hash);
  CHECK(derive_password("passwe", hash->salt, 1'000) != hash->hash);
  CHECK(derive_password("passwd", hash->salt, 1'001) != hash->hash);
}

TEST_CASE("a password's hash comes back from its text") {
  SeededEntropy entropy(1);
  const auto hash = hash_password("s3cret", 1'000, entropy);
  REQUIRE(hash.has_value());
  const auto again = parse_password_hash(text_of(*hash));
  REQUIRE(again.has_value());
  CHECK(*again == *hash);
  CHECK(derive_password("s3cret", hash->salt, hash->iterations) == hash->hash);
  const std::string text = text_of(*hash);
  for (std::size_t i = 0; i < text.size(); ++i) {
    CAPTURE(i);
    CHECK(!parse_password_hash(text.substr(0, i)));
  }
  CHECK(!parse_password_hash(text + "A"));
  CHECK(!parse_password_hash("$pbkdf2-sha256$999$" + text.substr(20)));
}

TEST_CASE("a file of users is read as memcached reads it") {
  const auto book = book_of("app:one\r\napp:two\nweb:with:colon\nlast:no-newline");
  REQUIRE(book.has_value());
  CHECK(knows(**book, "app", "one"));
  CHECK(knows(**book, "app", "two"));
  CHECK(knows(**book, "web", "with:colon"));
  CHECK(knows(**book, "last", "no-newline"));
  CHECK(!knows(**book, "last", "no-newlin"));
  CHECK(!knows(**book, "app", "three"));
  CHECK(!knows(**book, "web", "one"));
  CHECK(!knows(**book, "ap", "pone"));
  CHECK(!knows(**book, "", ""));
  CHECK((*book)->has("app"));
  CHECK(!(*book)->has("ap"));
  CHECK(!(*book)->has_hashes());
}

TEST_CASE("a file of users may have salted hashes beside passwords") {
  SeededEntropy entropy(2);
  const std::string slow = "slow:" + text_of(*hash_password("pw1", 2'000, entropy));
  const std::string other = "slow:" + text_of(*hash_password("pw2", 1'000, entropy));
  const auto book = book_of("plain:pw\n" + slow + "\n" + other + "\n");
  REQUIRE(book.has_value());
  CHECK((*book)->has_hashes());
  CHECK(knows(**book, "plain", "pw"));
  CHECK(knows(**book, "slow", "pw1"));
  CHECK(knows(**book, "slow", "pw2"));
  CHECK(!knows(**book, "slow", "pw"));
  CHECK(!knows(**book, "plain", "pw1"));
  CHECK(!knows(**book, "nobody", "pw1"));
  CHECK(!knows(**book, "slow", text_of(*hash_password("pw1", 2'000, entropy))));
}

TEST_CASE("what is wrong with a file of users is told by its line") {
  const auto error = [](std::string_view text) {
    const auto book = book_of(text);
    return book ? std::string("none") : book.error();
  };
  CHECK(error("") == "users: has no user; give a line user:password");
  CHECK(error("a:b\n\n") == "users:2: is not user:password");
  CHECK(error("secret") == "users:1: is not user:password");
  CHECK(error(":b") == "users:1: has no user that a client can send; give one word before the :");
  CHECK(error("a:") ==
        "users:1: has no password that a client can send; give one word after the :");
  CHECK(error("a:b c") ==
        "users:1: has no password that a client can send; give one word after the :");
  CHECK(error("a:$6$salt$hash") ==
        "users:1: the hash is of an unknown scheme; the one here is pbkdf2-sha256");
  CHECK(error("a:" + std::string(254, 'x')) == "users:1: has more than 255 bytes");
  std::string many;
  for (std::size_t i = 0; i <= UserBook::kUsersMax; ++i) many += "u" + std::to_string(i) + ":p\n";
  CHECK(error(many) == "users:1025: is one too many; give at most 1024");
}

TEST_CASE("networks hold the addresses that begin as they do") {
  const auto holds = [](std::string_view network, std::string_view address) {
    return parse_network(network).value().has(parse_network(address).value().address);
  };
  CHECK(holds("10.1.0.0/16", "10.1.255.255"));
  CHECK(!holds("10.1.0.0/16", "10.2.0.0"));
  CHECK(holds("10.1.128.0/17", "10.1.128.1"));
  CHECK(!holds("10.1.128.0/17", "10.1.127.1"));
  CHECK(holds("0.0.0.0/0", "192.0.2.1"));
  CHECK(!holds("0.0.0.0/0", "::1"));
  CHECK(holds("::/0", "192.0.2.1"));
  CHECK(holds("fd00::/8", "fdff::1"));
  CHECK(!holds("fd00::/8", "fe00::1"));
  CHECK(holds("10.0.0.1", "10.0.0.1"));
  for (const char* bad : {"", "10.1.0.0/33", "10.1.0.1/16", "10.1/16", "fd00::/129", "fd00::1/8",
                          "10.1.0.0/", "host", "10.1.0.0/16x", "::ffff:0:0/95"}) {
    CAPTURE(bad);
    CHECK(!parse_network(bad));
  }
  CHECK(text_of(from("10.0.0.1")) == "10.0.0.1:0");
  CHECK(text_of(from("::1")) == "[::1]:0");
}

TEST_CASE("a peer is recognised by what proves most") {
  std::vector<Identity> all(5);
  const char* names[] = {"wide", "narrow", "uid", "certificate", "user"};
  for (std::size_t i = 0; i < all.size(); ++i) all[i].name = names[i];
  all[0].recognition.networks = {*parse_network("10.0.0.0/8")};
  all[1].recognition.networks = {*parse_network("10.1.0.0/16")};
  all[2].recognition.uids = {1000};
  all[3].recognition.certificates = {"DNS:a.internal"};
  all[4].recognition.users = {"u"};
  all[4].recognition.networks = {*parse_network("10.1.0.0/16")};
  const AccessTable table(std::move(all), nullptr, 1, nullptr);
  CHECK(table.recognise(from("10.2.0.1")).name == "wide");
  CHECK(table.recognise(from("10.1.0.1")).name == "narrow");
  CHECK(&table.recognise(from("192.0.2.1")) == &AccessTable::nobody());
  CHECK(table.recognise(of_uid(1000)).name == "uid");
  CHECK(&table.recognise(of_uid(1001)) == &AccessTable::nobody());
  CHECK(&table.recognise({}) == &AccessTable::nobody());
  Peer certified = from("10.1.0.1");
  certified.certificate = {"CN=x", "DNS:a.internal"};
  CHECK(table.recognise(certified).name == "certificate");
  CHECK(table.of_user("u", from("10.1.0.1")).name == "user");
  CHECK(&table.of_user("u", from("10.2.0.1")) == &AccessTable::nobody());
  CHECK(&table.of_user("v", from("10.1.0.1")) == &AccessTable::nobody());
}

TEST_CASE("what a command needs") {
  const Rights both = Rights::kRead | Rights::kWrite;
  const std::pair<const char*, Rights> rows[] = {
      {"get a\r\n", Rights::kRead},
      {"gets a b\r\n", Rights::kRead},
      {"gat 5 a\r\n", both},
      {"touch a 5\r\n", Rights::kWrite},
      {"mg a v\r\n", Rights::kRead},
      {"mg a T5\r\n", both},
      {"mg a N5\r\n", both},
      {"me a\r\n", Rights::kRead},
      {"set a 0 0 1\r\n", Rights::kWrite},
      {"cas a 0 0 1 1\r\n", Rights::kWrite},
      {"append a 0 0 1\r\n", Rights::kWrite},
      {"ms a 1\r\n", Rights::kWrite},
      {"delete a\r\n", Rights::kDelete},
      {"md a I T5\r\n", Rights::kDelete},
      {"incr a 1\r\n", both},
      {"ma a\r\n", Rights::kWrite},
      {"ma a v\r\n", both},
  };
  for (const auto& row : rows) {
    const auto& line = row.first;
    const auto& rights = row.second;
    CAPTURE(line);
    CHECK(needed(line) == rights);
  }
}

TEST_CASE("a bucket gives its rate and a burst, and debts are paid first") {
  Bucket bucket;
  std::int64_t ns = 5'000'000'000;
  const auto taken_until_closed = [&] {
    int taken = 0;
    for (; bucket.is_open({ns}, 1'000) && taken < 1'000; ++taken) bucket.take(1, 10, {ns});
    return taken;
  };
  CHECK(taken_until_closed() == 11);
  CHECK(taken_until_closed() == 0);
  ns += 500'000'000;
  CHECK(taken_until_closed() == 5);
  ns += 3600'000'000'000;
  CHECK(taken_until_closed() == 11);
  ns += 3600'000'000'000;
  bucket.take(100, 10, {ns});
  ns += 8'900'000'000;
  CHECK(!bucket.is_open({ns}, 1'000));
  ns += 200'000'000;
  CHECK(bucket.is_open({ns}, 1'000));
  bucket.take(UINT64_MAX, 1, {ns});
  CHECK(!bucket.is_open({ns + 3600'000'000'000}, 1'000));
  CHECK(bucket.is_open({ns + 86'400'000'000'000}, 1'000));
}

TEST_CASE("who fails to log in waits longer each time, and others do not") {
  LoginGuard guard(7);
  Instant now{1'000'000'000};
  const Peer peer = from("10.0.0.1");
  for (std::uint32_t i = 0; i < LoginGuard::kFreeFailures; ++i) {
    CHECK(guard.admits(peer, now));
    guard.failed(peer, now);
  }
  std::int64_t wait_ms = LoginGuard::kFirstMs;
  for (int i = 0; i < 12; ++i) {
    CHECK(guard.admits(peer, now));
    guard.failed(peer, now);
    CHECK(!guard.admits(peer, now.plus_ms(wait_ms - 1)));
    CHECK(guard.admits(from("10.0.0.2"), now));
    now = now.plus_ms(wait_ms);
    wait_ms = std::min(2 * wait_ms, LoginGuard::kLongestMs);
  }
  CHECK(guard.admits(peer, now));
  guard.failed(peer, now);
  CHECK(!guard.admits(peer, now));
  now = now.plus_ms(LoginGuard::kForgetMs);
  guard.failed(peer, now);
  CHECK(guard.admits(peer, now));
}

TEST_CASE("one place is an IPv4 address, half an IPv6 one, or a user of this host") {
  const auto same = [](const Peer& a, const Peer& b) {
    LoginGuard guard(3);
    for (std::uint32_t i = 0; i <= LoginGuard::kFreeFailures; ++i) guard.failed(a, {1});
    REQUIRE(!guard.admits(a, {1}));
    return !guard.admits(b, {1});
  };
  CHECK(same(from("2001:db8::1"), from("2001:db8::ffff:ffff:ffff:2")));
  CHECK(!same(from("2001:db8::1"), from("2001:db8:0:1::1")));
  CHECK(!same(from("10.0.0.1"), from("10.0.0.2")));
  CHECK(same(of_uid(5), of_uid(5)));
  CHECK(!same(of_uid(5), of_uid(6)));
  LoginGuard guard(3);  // However many fail, it neither grows nor forgets who is at it now.
  for (int i = 0; i < 20'000; ++i) {
    Peer peer = from("10.0.0.0");
    peer.address[13] = static_cast<std::uint8_t>(i / 65536);
    peer.address[14] = static_cast<std::uint8_t>(i / 256);
    peer.address[15] = static_cast<std::uint8_t>(i);
    guard.failed(peer, {i});
  }
  for (std::uint32_t i = 0; i <= LoginGuard::kFreeFailures; ++i)
    guard.failed(from("10.9.9.9"), {30'000});
  CHECK(!guard.admits(from("10.9.9.9"), {30'000}));
}

TEST_CASE("before a login only a login is understood") {
  struct Row {
    std::string_view in;
    ParsedLogin::Kind kind;
    WireError error = WireError::kUnauthenticated;
    std::size_t left = 0;
  };
  using Kind = ParsedLogin::Kind;
  const Row rows[] = {
      {"set a 0 0 3\r\nu p\r\n", Kind::kLogin},
      {"set a x y 3\r\nu p\r\nget a\r\n", Kind::kLogin, {}, 7},
      {"set a 0 0 5 noreply\r\n u  p\r\n", Kind::kLogin},
      {"set a 0 0 7\nu p rest\r\n", Kind::kError, WireError::kBadTermination, 1},
      {"set a 0 0 8\nu p rest\r\n", Kind::kLogin},
      {"set a 0 0 3\r\nu_p\r\n", Kind::kError, WireError::kBadLoginFormat},
      {"set a 0 0 0\r\n\r\n", Kind::kError, WireError::kBadLoginFormat},
      {"set a 0 0 3\r\nu pxx", Kind::kError, WireError::kBadTermination},
      {"get a\r\n", Kind::kError},
      {"quit\r\n", Kind::kError},
      {"mn\r\n", Kind::kError},
      {"set a 0 0\r\n", Kind::kError},
      {"set a 0 0 -1\r\n", Kind::kError},
      {"set a 0 0 3x\r\n", Kind::kError},
      {std::string_view("set a 0 0\0 3\r\n", 14), Kind::kError},
      {"add a 0 0 3\r\nu p\r\n", Kind::kError, WireError::kUnauthenticated, 5},
      {"\r\n", Kind::kError},
      {"\n", Kind::kIncomplete, {}, 1},
      {"set a 0 0 3", Kind::kIncomplete, {}, 11},
      {"set a 0 0 3\r\nu p\r", Kind::kIncomplete, {}, 17},
      {"set a 0 0 16382\r\n", Kind::kIncomplete, {}, 17},
      {"set a 0 0 16383\r\n", Kind::kHangUp, {}, 17},
      {"set a 0 0 4294967295\r\n", Kind::kHangUp, {}, 22},
  };
  for (const Row& row : rows) {
    CAPTURE(row.in);
    const ParsedLogin parsed = parse_login(row.in);
    CHECK(parsed.kind == row.kind);
    CHECK(row.in.size() - parsed.consumed == row.left);
    if (parsed.kind == Kind::kError) CHECK(parsed.error == row.error);
    if (parsed.kind == Kind::kLogin) CHECK(parsed.user == "u");
    if (parsed.kind == Kind::kLogin) CHECK(parsed.password == "p");
  }
  CHECK(parse_login(std::string(2'048, 'x')).kind == Kind::kIncomplete);
  CHECK(parse_login(std::string(2'049, 'x')).kind == Kind::kHangUp);
}
