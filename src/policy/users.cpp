#include "policy/users.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "seal/secret.hpp"

namespace tokenring {

namespace {

std::string_view bytes_of(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

bool is_same(const Mac& a, const Mac& b) {
  return is_same_secret(bytes_of(a), bytes_of(b));
}

// A client sends both as words of a line.
bool is_word(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return (c >= '\0' && c <= ' ') || c == '\x7F';
  });
}

// $name$..., as programs write hashes. To take such a one for a password would make a password of
// what was to hide it.
bool looks_hashed(std::string_view password) {
  if (!password.starts_with('$')) return false;
  const std::size_t end = password.find('$', 1);
  return end != std::string_view::npos && end > 1;
}

}  // namespace

// What is wrong with it; empty: it was added.
std::string UserBook::add_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() > kLineBytesMax) return fmt::format("has more than {} bytes", kLineBytesMax);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "is not user:password";
  UserEntry entry;
  entry.user = line.substr(0, colon);
  const std::string_view password = line.substr(colon + 1);
  if (!is_word(entry.user)) return "has no user that a client can send; give one word before the :";
  if (!is_word(password))
    return "has no password that a client can send; give one word after the :";
  if (looks_hashed(password)) {
    auto hash = parse_password_hash(password);
    if (!hash) return "the hash " + hash.error();
    entry.hash = *hash;
  } else {
    entry.mac = mac_of({entry.user, password});
  }
  if (entries_.size() == kUsersMax)
    return fmt::format("is one too many; give at most {}", kUsersMax);
  entries_.push_back(std::move(entry));
  return {};
}

Result<std::shared_ptr<const UserBook>, std::string> UserBook::parse(
    std::string_view text, std::string_view file_name, std::shared_ptr<const HmacKey> key) {
  const auto book = std::make_shared<UserBook>();
  book->key_ = std::move(key);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (std::string error = book->add_line(text.substr(0, end)); !error.empty())
      return unexpected(fmt::format("{}:{}: {}", file_name, number, error));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (book->entries_.empty())
    return unexpected(fmt::format("{}: has no user; give a line user:password", file_name));
  std::map<std::string_view, std::uint64_t> of_user;
  for (const UserEntry& entry : book->entries_)
    if (entry.hash) of_user[entry.user] += entry.hash->iterations;
  for (const auto& [user, iterations] : of_user) {
    if (iterations > PasswordHash::kIterationsMax)
      return unexpected(fmt::format("{}: {} has hashes of more than {} iterations together",
                                    file_name, user, PasswordHash::kIterationsMax));
    book->iterations_ = std::max(book->iterations_, static_cast<std::uint32_t>(iterations));
  }
  return std::shared_ptr<const UserBook>(book);
}

bool UserBook::has(std::string_view user) const noexcept {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const UserEntry& entry) { return entry.user == user; });
}

// A user has no NUL, so that no other pair makes the same bytes.
Mac UserBook::mac_of(const LoginView& login) const noexcept {
  return key_->mac({login.user, std::string_view("\0", 1), login.password});
}

bool UserBook::has_plain(const Mac& mac) const noexcept {
  bool found = false;
  for (const UserEntry& entry : entries_)
    if (!entry.hash) found |= is_same(mac, entry.mac);
  return found;
}

const UserEntry* UserBook::find_hashed(const LoginView& login) const noexcept {
  const UserEntry* found = nullptr;
  std::uint32_t left = iterations_;
  for (const UserEntry& entry : entries_) {
    if (!entry.hash || entry.user != login.user) continue;
    const Mac mac = derive_password(login.password, entry.hash->salt, entry.hash->iterations);
    if (is_same(mac, entry.hash->hash)) found = &entry;
    left -= entry.hash->iterations;
  }
  // The rest of the work that a known user may make, so that time tells nobody who is known.
  if (left > 0) static_cast<void>(derive_password(login.password, {}, left));
  return found;
}

}  // namespace tokenring
