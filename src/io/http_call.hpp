// HttpCall: one question to an introspection endpoint, and what came of it. The only user of
// libcurl, beside the asker's loop.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policy/introspection.hpp"
#include "policy/tallies.hpp"

namespace tokenring {

// Lives as long as its transfer: libcurl has its address. What it asks and hears is wiped with it.
class HttpCall {
 public:
  HttpCall(std::shared_ptr<const Introspection> endpoint, std::string_view token,
           std::int64_t timeout_ms);
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  // For curl_multi_add_handle; null where there was no memory.
  [[nodiscard]] CURL* handle() noexcept { return handle_; }
  [[nodiscard]] static HttpCall* of(CURL* handle) noexcept;

  // What libcurl ended with, as one of the outcomes that are counted. kActive and kInactive: the
  // answer is in answer().
  [[nodiscard]] IntrospectionTally end(CURLcode code);
  [[nodiscard]] const std::string& answer() const noexcept { return body_; }
  // Why there is none, for the log. Has nothing of the token.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  void set_up(std::int64_t timeout_ms);
  void set_credentials();
  [[nodiscard]] bool open_jwt();
  [[nodiscard]] IntrospectionTally of_transfer(CURLcode code);
  [[nodiscard]] IntrospectionTally of_status(long status);

  std::shared_ptr<const Introspection> endpoint_;
  CURL* handle_;
  curl_slist* headers_ = nullptr;
  std::string form_;
  std::string body_;
  bool is_too_large_ = false;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::string problem_;
};

// Whether an outcome says that the server itself is in trouble, and not something about one token.
[[nodiscard]] bool is_servers_failure(IntrospectionTally outcome) noexcept;

}  // namespace tokenring
