// [auth] and [[identities]]: what they come to, and what is wrong with them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "app/access.hpp"
#include "app/config.hpp"
#include "app/seal_material.hpp"

using namespace tokenring;

namespace {

constexpr std::string_view kListen = "listen = { address = \"127.0.0.1:1\", identify = true }\n";

std::string error_of(std::string_view text) {
  const auto config = parse_config(std::string(kListen) + std::string(text), "t");
  return config ? "none" : config.error();
}

std::shared_ptr<const Snapshot> snapshot_of(std::string_view text) {
  const auto config = parse_config(std::string(kListen) + std::string(text), "t");
  if (!config) FAIL(config.error());
  const auto snapshot = make_snapshot(*config, {}, {});
  REQUIRE(snapshot.has_value());
  return *snapshot;
}

Rights rights_at(const Snapshot& snapshot, const Identity& identity, std::string_view key) {
  const Namespace* space = snapshot.namespaces.find(key);
  REQUIRE(space != nullptr);
  const auto index = static_cast<std::size_t>(space - snapshot.namespaces.all().data());
  return identity.rights.at(index);
}

}  // namespace

TEST_CASE("rights are summed up by namespace, and owners have namespaces of their own") {
  const auto snapshot = snapshot_of(R"([[namespaces]]
prefix = "a:"
ttl_cap = "1h"
ttl_from_token = true
[[namespaces]]
prefix = "a:"
identity = "own"
ttl_cap = "1m"
[[namespaces]]
prefix = "b:"
[[identities]]
name = "some"
networks = "10.0.0.0/8"
allow = [{ rights = "read" }, { namespaces = ["a:", ""], rights = ["write", "delete"] }]
[[identities]]
name = "own"
networks = ["10.1.0.0/16", "fd00::/8"]
isolate = true
allow = [{ namespaces = "a:", rights = ["read", "write"] }]
requests_per_second = 10
bytes_per_second = "1MiB"
negative_per_second = 3
burst = "500ms"
connections = 5
hide = true)");
  REQUIRE(snapshot->access->all().size() == 2);
  const Identity& some = snapshot->access->all()[0];
  const Identity& own = snapshot->access->all()[1];
  CHECK(snapshot->asks_who(0));
  CHECK(!snapshot->asks_who(1));
  CHECK(rights_at(*snapshot, some, "a:1") == Rights{7});
  CHECK(rights_at(*snapshot, some, "b:1") == Rights::kRead);
  CHECK(rights_at(*snapshot, some, "c") == Rights{7});
  CHECK(rights_at(*snapshot, some, "own/a:1") == Rights{});
  CHECK(some.may_everywhere(Rights::kRead));
  CHECK(!some.may_everywhere(Rights::kWrite));
  CHECK(rights_at(*snapshot, own, "own/a:1") == (Rights::kRead | Rights::kWrite));
  CHECK(rights_at(*snapshot, own, "own/b:1") == Rights{});
  CHECK(rights_at(*snapshot, own, "a:1") == Rights{});
  CHECK(!own.may_everywhere(Rights{}));
  CHECK(own.mark == "own/");
  CHECK(own.hides);
  CHECK(own.quota.requests_per_second == 10);
  CHECK(own.quota.bytes_per_second == 1 << 20);
  CHECK(own.quota.negative_per_second == 3);
  CHECK(own.quota.burst_ms == 500);
  CHECK(own.quota.connections == 5);
  CHECK(snapshot->namespaces.all().size() == 6);
  CHECK(snapshot->namespaces.find("own/a:1")->life.ttl_cap_s == 60);
  CHECK(snapshot->namespaces.find("a:1")->life.ttl_cap_s == 3600);
  CHECK(snapshot->namespaces.find("own/c")->owner == own.owner);
  CHECK(snapshot->namespaces.find("own")->owner == 0);
}

TEST_CASE("what an identity has in use goes on through reloads, by its name") {
  const auto config = parse_config(std::string(kListen) +
                                       "[[identities]]\nname = \"a\"\nuid = 1\n"
                                       "[[identities]]\nname = \"b\"\nuid = 2\n",
                                   "t");
  REQUIRE(config.has_value());
  const auto first = *make_snapshot(*config, {}, {});
  Config less = *config;
  less.identities.erase(less.identities.begin());
  const AccessMaterial material{.before = first->access.get()};
  const auto second = *make_snapshot(less, {}, {}, nullptr, &material);
  REQUIRE(second->access->all().size() == 1);
  CHECK(second->access->all()[0].use == first->access->all()[1].use);
  CHECK(&second->access->guard() == &first->access->guard());
}

TEST_CASE("where nobody is asked there is no table") {
  const auto config = parse_config("", "t");
  REQUIRE(config.has_value());
  CHECK((*make_snapshot(*config, {}, {}))->access == nullptr);
}

TEST_CASE("identities in error") {
  const auto identity = [](std::string_view more) {
    return error_of(fmt::format("[[identities]]\nname = \"x\"\nuid = 1\n{}\n", more));
  };
  CHECK(identity("") == "none");
  CHECK(error_of("[[identities]]\nuid = 1\n") ==
        "t:2:1: identities[0]: has no name; give one, such as that of a service");
  CHECK(error_of("[[identities]]\nname = \"a b\"\nuid = 1\n") ==
        "t:3:8: identities[0].name: \"a b\" is no name; give one of 1 to 64 letters, digits, -, _ "
        "and .");
  CHECK(error_of("[[identities]]\nname = \"x\"\n") ==
        "t:2:1: identities[0]: is recognised by a login, which needs a file of users; give [auth] "
        "file = \"PATH\", or certificate, uid or networks");
  CHECK(identity("allow = \"read\"") ==
        "t:5:9: identities[0].allow: is no table; give { namespaces = [\"PREFIX\"], rights = "
        "[\"read\"] }");
  CHECK(identity("allow = [{ namespaces = \"\" }]") ==
        "t:5:10: identities[0].allow[0]: has no rights; give rights = [\"read\", \"write\", "
        "\"delete\", \"flush\", \"stats\"], or some of them");
  CHECK(identity("allow = [{ rights = \"reed\" }]") ==
        "t:5:21: identities[0].allow[0].rights: \"reed\" is unknown; did you mean \"read\"?");
  CHECK(identity("allow = [{ namespaces = \"no:\", rights = \"read\" }]") ==
        "t:5:10: identities[0].allow[0]: \"no:\" is the prefix of no namespace; give one that is");
  CHECK(identity("allow = [{ namespaces = \"\", rights = [\"stats\", \"flush\"] }]") ==
        "t:5:38: identities[0].allow[0].rights: \"flush\" empties all nodes, whatever the "
        "namespace; give it in a row without namespaces");
  CHECK(identity("allow = [{ namespaces = \"\", rights = \"stats\" }]") == "none");
  CHECK(
      identity("isolate = true\nallow = [{ rights = \"flush\" }]") ==
      "t:6:10: identities[0].allow[0]: \"flush\" would reach the keys of others; leave it out, or "
      "isolate");
  CHECK(
      identity("negative_per_second = 1") ==
      "t:5:23: identities[0].negative_per_second: has no effect without ttl_from_token or fill in "
      "a namespace");
  CHECK(identity("networks = \"10.0.0.1/8\"") ==
        "t:5:12: identities[0].networks: \"10.0.0.1/8\" has bits set behind its prefix; give the "
        "first address of the network");
  CHECK(
      identity("certificate = \"checkout\"") ==
      "t:5:15: identities[0].certificate: \"checkout\" is no name of a certificate; give CN=NAME, "
      "DNS:NAME or URI:ID");
  CHECK(identity("[[identities]]\nname = \"x\"\nuid = 2") ==
        "t:6:8: identities[1].name: \"x\" is the name of identities[0]; give each its own");
  CHECK(identity("[[identities]]\nname = \"y\"\nuid = [2, 1]") ==
        "t:5:1: identities[1]: has the uid \"1\" of \"x\"; give it to one of them");
  CHECK(identity("[[namespaces]]\nprefix = \"p\"\nidentity = \"x\"") ==
        "t:7:12: namespaces[0].identity: \"x\" is no identity with isolate = true; give one");
  CHECK(
      identity("isolate = true\n[[namespaces]]\nprefix = \"x/a\"") ==
      "t:5:11: identities[0].isolate: keys of this identity begin with \"x/\" at nodes, and so do "
      "those of namespaces[0]; rename one");
  const auto alone = [](std::string_view who) {
    return error_of(fmt::format("[[identities]]\nname = \"x\"\n{}\n", who));
  };
  CHECK(alone("networks = [\"127.0.0.1/33\"]").starts_with("t:4:13: identities[0].networks[0]: "));
  CHECK(alone("uid = [\"root\"]").starts_with("t:4:8: identities[0].uid[0]: is a string; "));
  CHECK(alone("certificate = \"x\"").starts_with("t:4:15: identities[0].certificate: "));
  CHECK(alone("netwroks = \"10.0.0.0/8\"") ==
        "t:4:1: identities[0].netwroks: unknown key; did you mean \"networks\"?");
  CHECK(error_of("") ==
        "t:1:48: listen.identify: would let nobody do anything, for there is no identity; give "
        "[[identities]]");
  CHECK(error_of("[[identites]]\n") ==
        "t:2:3: identites: unknown key; did you mean \"identities\"?");
  const auto plain = parse_config("[[identities]]\nname = \"x\"\nuid = 1\n", "t");
  REQUIRE(!plain);
  CHECK(plain.error() ==
        "t:1:1: identities[0]: has no effect where nobody is asked; give identify = true to an "
        "address of listen");
}
