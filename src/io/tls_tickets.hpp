// Keys of session tickets, shared by all workers and kept over reloads, so that clients resume.
//
// A key seals tickets for kKeyS and opens them for as long again; then it is forgotten, and what
// was said under tickets of it cannot be opened any more. Nothing of it is written anywhere:
// another process has its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

struct ssl_ctx_st;

namespace tokenring {

class TlsTickets {
 public:
  static constexpr std::int64_t kKeyS = 2 * 3600;

  struct Key {
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, 32> cipher{};  // AES-256-CBC,
    std::array<unsigned char, 32> mac{};     // and HMAC-SHA-256 over it.
    std::int64_t made_s = 0;
  };
  struct Found {
    Key key;
    bool is_old = false;  // Another one is due.
  };

  TlsTickets() = default;
  ~TlsTickets();
  TlsTickets(const TlsTickets&) = delete;
  TlsTickets& operator=(const TlsTickets&) = delete;

  // The key for new tickets; nothing where there are no random bytes. Any thread, like find().
  [[nodiscard]] std::optional<Key> current(std::int64_t now_s) noexcept;
  [[nodiscard]] std::optional<Found> find(const unsigned char* name, std::int64_t now_s) noexcept;

  // From now on `context` seals and opens its tickets with these keys, which must outlive it.
  void serve(ssl_ctx_st* context) noexcept;

 private:
  [[nodiscard]] bool renew(std::int64_t now_s) noexcept;

  std::mutex mutex_;
  std::array<std::optional<Key>, 2> keys_;  // The present one and the one before.
};

}  // namespace tokenring
