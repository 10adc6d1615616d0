// Key files, blinded keys and audit references.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cctype>
#include <set>

#include "seal/blind.hpp"
#include "seal/bytes.hpp"
#include "seal/secret.hpp"
#include "seal_kit.hpp"
#include "tokenring/ring.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;

namespace {

constexpr std::string_view kSomeKey = "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=";

std::string error_of(std::string_view text) {
  const auto ring = Keyring::parse(text, "keys");
  return ring ? "no error" : ring.error();
}

std::string with_line(std::string_view line) {
  return fmt::format("{}{}\n", kKeyFile, line);
}

std::string blinded(const ClientKey& key, std::string_view tag_ends = "{}") {
  std::string out(blinded_size_max(key.space.size()), '\0');
  const BlindedKey result = keyring_of(kKeyFile)->blinder().blind(key, tag_ends, out.data());
  out.resize(result.size);
  return out;
}

}  // namespace

TEST_CASE("a key file may have comments, blanks, CRLF and masters that only open") {
  const auto plain = keyring_of(kKeyFile);
  CHECK(plain->master_count() == 1);
  CHECK(plain->key_id(0) == 0x75d3c699);
  std::string text =
      fmt::format("# of 2026\r\n\r\n{}\t  master   {}  # older\r\n", kKeyFile, kSomeKey);
  const auto two = keyring_of(text);
  CHECK(two->master_count() == 2);
  CHECK(two->key_id(0) == 0x75d3c699);
  const auto rotated = keyring_of(kRotatedKeyFile);
  CHECK(rotated->key_id(0) == two->key_id(1));
  CHECK(rotated->key_id(1) == two->key_id(0));
  // The primary seals wherever its line stands.
  const std::string last = fmt::format("tokenring-keys 1\nmaster {}\n{}", kSomeKey,
                                       kKeyFile.substr(kKeyFile.find('\n') + 1));
  CHECK(keyring_of(last)->key_id(0) == 0x75d3c699);
}

TEST_CASE("what is wrong with a key file is one line that shows no key") {
  CHECK(error_of("") == "keys: is empty; its first line is \"tokenring-keys 1\"");
  CHECK(error_of("tokenring-keys 2\n") ==
        "keys:1: no key file; its first line is \"tokenring-keys 1\"");
  CHECK(error_of("tokenring-keys 1\n") ==
        "keys: has no primary key; tokenring keygen makes a file");
  CHECK(error_of(kKeyFile.substr(0, kKeyFile.find("blind"))) ==
        "keys: has no blind key; tokenring keygen makes a file");
  CHECK(error_of(kKeyFile.substr(0, kKeyFile.find("audit"))) ==
        "keys: has no audit key; tokenring keygen makes a file");
  const std::string key(kSomeKey);
  CHECK(error_of(with_line("primary " + key)) == "keys:5: primary stands here twice; give it once");
  CHECK(error_of(with_line("blind " + key)) == "keys:5: blind stands here twice; give it once");
  CHECK(error_of(with_line(key)) == "keys:5: unknown word; give primary, master, blind or audit");
  CHECK(error_of(with_line("master " + key + " x")) ==
        "keys:5: more than two words; give a word and its key");
  for (const std::string& bad : {std::string(), key.substr(1), key + "A", key.substr(0, 43) + "A",
                                 "!" + key.substr(1), key.substr(0, 42) + "9="}) {
    CAPTURE(bad);
    CHECK(error_of(with_line("master " + bad)) ==
          "keys:5: master is not 32 bytes in base64; tokenring keygen makes one");
  }
  CHECK(error_of(with_line("master " + std::string(43, 'A') + "=")) ==
        "keys:5: master is one byte repeated; tokenring keygen makes a random one");
  CHECK(error_of(with_line("master ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")) ==
        "keys:5: master is a key that stands here before; each must be one of its own");
  CHECK(error_of(std::string(20'000, '#')) == "keys: is longer than 16384 bytes; no key file is");
}

TEST_CASE("sixteen masters are enough") {
  std::string text(kKeyFile);
  const auto line = [](unsigned char byte) {
    unsigned char key[32] = {byte, 1};
    std::string word(base64_size(sizeof key), '\0');
    encode_key_base64(key, word.data());
    return "master " + word + "\n";
  };
  for (unsigned char i = 0; i < 15; ++i) text += line(i);
  CHECK(keyring_of(text)->master_count() == 16);
  CHECK(error_of(text + line(16)) == "keys:20: too many master keys; give at most 16");
}

TEST_CASE("base64 of keys goes both ways and has one spelling") {
  std::mt19937_64 random(3);
  for (std::size_t size = 0; size <= 48; ++size) {
    std::vector<unsigned char> bytes(size);
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
    std::string text(base64_size(size), '\0');
    encode_key_base64(bytes, text.data());
    std::vector<unsigned char> back(size);
    CHECK(decode_key_base64(text, back));
    CHECK(back == bytes);
  }
  unsigned char all[48];
  CHECK(decode_key_base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", all));
  for (int c = 0; c < 256; ++c) {
    unsigned char three[3];
    const std::string text{'A', 'A', 'A', static_cast<char>(c)};
    CHECK(decode_key_base64(text, three) == (std::isalnum(c) != 0 || c == '+' || c == '/'));
  }
}

TEST_CASE("a blinded key shows its prefix and nothing else, and is the same everywhere") {
  // From an implementation of its own: tests/seal/envelope.py.
  CHECK(blinded({.space = "auth_token:", .key = "auth_token:eyJhbGciOi"}) ==
        "auth_token:BZaaZAdMxxjNzv3lubRP2k0K5rY");
  CHECK(blinded({.space = "auth_token:", .key = "auth_token:{u42}:a", .tag = "u42"}) ==
        "auth_token:{zwa1r8wWygI}Uai62cdtFQZkhDJDZ7WtHWEBU5o");
  std::string group(blinded_size_max(11), '\0');
  const auto keyring = keyring_of(kKeyFile);
  group.resize(
      keyring->blinder()
          .blind_group({.space = "auth_token:", .key = {}, .tag = "u42"}, "{}", group.data())
          .size);
  CHECK(group == "auth_token:{zwa1r8wWygI}gmRjcfnOeThkIadAA3JAzT1WHOc");
  const std::string a = blinded({.space = "s:", .key = "s:{u42}:a", .tag = "u42"});
  const std::string b = blinded({.space = "s:", .key = "s:{u42}:b", .tag = "u42"});
  CHECK(a.size() == 2 + 13 + 27);
  CHECK(a.substr(0, 15) == b.substr(0, 15));
  CHECK(a.substr(15) != b.substr(15));
  CHECK(blinded({.space = "s:", .key = "s:k"}).size() == 2 + 27);
  // The border between namespace and key counts, and so does the namespace.
  const std::string of_s = blinded({.space = "s:", .key = "s:tk"}).substr(2);
  CHECK(of_s != blinded({.space = "s:t", .key = "s:tk"}).substr(3));
  CHECK(blinded({.space = "ab", .key = "ck"}).substr(2) !=
        blinded({.space = "abc", .key = "k"}).substr(3));
  // A key that is a tag has another name than the tag.
  const std::string twin = blinded({.space = "", .key = "u42", .tag = "u42"});
  CHECK(twin.substr(1, 11) != twin.substr(13, 11));
  CHECK(blinded({.space = "s:", .key = std::string(8192, 'j')}).size() == 29);
}

TEST_CASE("tags that were hidden before look as if they never were") {
  const auto keyring = keyring_of(kKeyFile);
  BlindedTags tags;
  std::vector<std::pair<std::string, std::string>> groups;  // Namespace and tag.
  for (int user = 0; user < 3000; ++user) groups.emplace_back("s:", fmt::format("u{}", user));
  groups.insert(groups.end(), {{"s", ":u1"}, {"", "s:u1"}, {"s:u", "1"}});  // As "s:" and "u1".
  for (const std::size_t size : {49U, 50U, 300U}) groups.emplace_back("s:", std::string(size, 't'));
  const auto agree = [&](const auto& group) {
    const ClientKey client{.space = group.first, .key = "key", .tag = group.second};
    std::string out(blinded_size_max(group.first.size()), '\0');
    out.resize(keyring->blinder().blind(client, "{}", out.data(), &tags).size);
    std::string name(blinded_size_max(group.first.size()), '\0');
    std::string plain = name;
    const Blinder& blinder = keyring->blinder();
    name.resize(blinder.blind_group(client, "{}", name.data(), &tags).size);
    plain.resize(blinder.blind_group(client, "{}", plain.data()).size);
    return out == blinded(client) && name == plain && name != out &&
           name.substr(0, out.size() - kBlindKeyCharacters) ==
               out.substr(0, out.size() - kBlindKeyCharacters);
  };
  for (const auto& group : groups) {
    CHECK(agree(group));
    CHECK(agree(group));  // It is known now, if it is short enough.
    CHECK(agree(groups[0]));
  }
  CHECK(tags.entry_of({.space = "s:", .key = {}, .tag = "u0"}).is_known);
  CHECK(tags.entry_of(
                {.space = "s:", .key = {}, .tag = std::string(BlindedTags::kTextBytes - 1, 't')})
            .characters == nullptr);
  tags.clear();
  CHECK_FALSE(tags.entry_of({.space = "s:", .key = {}, .tag = "u0"}).is_known);
}

TEST_CASE("every key of a group goes to the node of its marker") {
  std::vector<NodeSpec> nodes;
  for (int i = 0; i < 20; ++i) nodes.push_back({.address = fmt::format("10.0.0.{}:11211", i)});
  const auto keyring = keyring_of(kKeyFile);
  for (const std::string_view ends : {"{}", "<>"}) {
    const Ring ring = Ring::make(nodes, {.hash_tag = std::string(ends)}).value();
    std::set<std::uint32_t> owners;
    for (int user = 0; user < 50; ++user) {
      const std::string group = fmt::format("s:{}u{}{}", ends[0], user, ends[1]);
      std::set<std::uint32_t> of_group;
      for (const std::string& key : {group, group + ":a", group + ":b" + std::string(300, 'x')}) {
        char out[256];
        const std::string_view tag = hashed_part(key, ring.hash_tag());
        const BlindedKey blind = keyring->blinder().blind(
            {.space = "s:", .key = key, .tag = tag.size() < key.size() ? tag : ""}, ends, out);
        of_group.insert(ring.owner_of(blind.route));
        CHECK(ring.owner_of({out, blind.size}) == ring.owner_of(blind.route));
      }
      CHECK(of_group.size() == 1);
      owners.merge(of_group);
    }
    CHECK(owners.size() > 10);
  }
}

TEST_CASE("an audit reference is not the blinded key") {
  const auto keyring = keyring_of(kKeyFile);
  char one[kAuditCharacters];
  char two[kAuditCharacters];
  keyring->audit().refer({.space = "s:", .key = "s:k"}, one);
  keyring->audit().refer({.space = "s:", .key = "s:l"}, two);
  CHECK(std::string_view(one, sizeof one) != std::string_view(two, sizeof two));
  CHECK(blinded({.space = "s:", .key = "s:k"}).find({one, 8}) == std::string::npos);
}

TEST_CASE("secret memory moves and begins as zeros") {
  SecretBytes one(100);
  CHECK(
      std::all_of(one.bytes().begin(), one.bytes().end(), [](unsigned char b) { return b == 0; }));
  one.data()[99] = 9;
  SecretBytes two = std::move(one);
  CHECK(two.size() == 100);
  CHECK(two.data()[99] == 9);
  CHECK(SecretBytes(0).size() == 0);
  CHECK(keyring_of(kKeyFile)->memory_is_locked() == two.is_locked());
}
