#include "io/http_call.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kJwtType = "application/token-introspection+jwt";
constexpr long kBadRequest = 400;
constexpr long kUnauthorized = 401;
constexpr long kForbidden = 403;
constexpr long kTooManyRequests = 429;
constexpr long kServerError = 500;

// As a form has it (application/x-www-form-urlencoded); `to` has room, so that no copy stays.
void append_encoded(std::string_view text, std::string& to) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain) {
      to += c;
    } else {
      to += '%';
      to += kDigits[byte >> 4];
      to += kDigits[byte & 15];
    }
  }
}

bool is_of_trust(CURLcode code) noexcept {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_INVALIDCERTSTATUS;
}

}  // namespace

bool is_servers_failure(IntrospectionTally outcome) noexcept {
  return outcome == IntrospectionTally::kUnreachable || outcome == IntrospectionTally::kUntrusted ||
         outcome == IntrospectionTally::kTimeout || outcome == IntrospectionTally::kServerError;
}

HttpCall::HttpCall(std::shared_ptr<const Introspection> endpoint, std::string_view token,
                   std::int64_t timeout_ms)
    : endpoint_(std::move(endpoint)), handle_(curl_easy_init()) {
  constexpr std::string_view kBefore = "token=";
  constexpr std::string_view kAfter = "&token_type_hint=access_token";
  form_.reserve(kBefore.size() + 3 * token.size() + kAfter.size());
  form_.append(kBefore);
  append_encoded(token, form_);
  form_.append(kAfter);
  body_.reserve(Introspection::kAnswerBytesMax);
  if (handle_ != nullptr) set_up(timeout_ms);
}

HttpCall::~HttpCall() {
  curl_easy_cleanup(handle_);
  curl_slist_free_all(headers_);
  wipe(form_);
  wipe(body_);
}

HttpCall* HttpCall::of(CURL* handle) noexcept {
  char* self = nullptr;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &self);
  return reinterpret_cast<HttpCall*>(self);
}

// Certificates are checked, as libcurl does unless told otherwise; nothing of the environment
// (proxies, .netrc) is heeded, and no redirect is followed.
void HttpCall::set_up(std::int64_t timeout_ms) {
  const auto set = [this](CURLoption option, auto value) {
    curl_easy_setopt(handle_, option, value);
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set(CURLOPT_URL, endpoint_->url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOSIGNAL, 1L);
  // Whoever looks the name up is left to it when the time is over: libcurl would wait for him, and
  // so would every other endpoint, and the process's end.
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_POSTFIELDSIZE, static_cast<long>(form_.size()));
  set(CURLOPT_POSTFIELDS, form_.data());  // Not copied.
  set(CURLOPT_WRITEFUNCTION, &HttpCall::on_body);
  set(CURLOPT_WRITEDATA, this);
  if (!endpoint_->authorities.empty()) {
    // These, and not the system's beside them.
    curl_blob blob{.data = const_cast<char*>(endpoint_->authorities.data()),
                   .len = endpoint_->authorities.size(),
                   .flags = CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  headers_ = curl_slist_append(headers_,
                               endpoint_->open_jwt
                                   ? "Accept: application/token-introspection+jwt, application/json"
                                   : "Accept: application/json");
  set(CURLOPT_HTTPHEADER, headers_);
  set_credentials();
}

// RFC 6749, 2.3.1: both parts of Basic are encoded as in a form.
void HttpCall::set_credentials() {
  if (endpoint_->secret == nullptr) return;
  std::string secret(endpoint_->secret->text());
  if (endpoint_->client_id.empty()) {
    curl_easy_setopt(handle_, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(handle_, CURLOPT_XOAUTH2_BEARER, secret.c_str());
  } else {
    std::string id;
    std::string encoded;
    encoded.reserve(3 * secret.size());
    append_encoded(endpoint_->client_id, id);
    append_encoded(secret, encoded);
    curl_easy_setopt(handle_, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(handle_, CURLOPT_USERNAME, id.c_str());
    curl_easy_setopt(handle_, CURLOPT_PASSWORD, encoded.c_str());
    wipe(encoded);
  }
  wipe(secret);
}

std::size_t HttpCall::on_body(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  HttpCall& call = *static_cast<HttpCall*>(self);
  const std::size_t bytes = size * count;
  call.is_too_large_ = bytes > Introspection::kAnswerBytesMax - call.body_.size();
  if (call.is_too_large_) return 0;  // Ends the transfer.
  call.body_.append(data, bytes);
  return bytes;
}

IntrospectionTally HttpCall::end(CURLcode code) {
  if (is_too_large_) {
    problem_ = fmt::format("the answer is larger than {} bytes", Introspection::kAnswerBytesMax);
    return IntrospectionTally::kTooLarge;
  }
  if (code != CURLE_OK) return of_transfer(code);
  long status = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return of_status(status);
  const char* type = nullptr;
  curl_easy_getinfo(handle_, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr && std::string_view(type).starts_with(kJwtType) && !open_jwt())
    return IntrospectionTally::kBadSignature;
  switch (read_verdict(body_)) {
    case Verdict::kActive:
      return IntrospectionTally::kActive;
    case Verdict::kInactive:
      return IntrospectionTally::kInactive;
    case Verdict::kMalformed:
      break;
  }
  problem_ = "the answer is no JSON object with a boolean \"active\"";
  return IntrospectionTally::kMalformed;
}

// Puts the answer in the place of the JWT that it is in. False where it is not to be believed.
bool HttpCall::open_jwt() {
  if (!endpoint_->open_jwt) {
    problem_ = "the answer is a JWT, and there is no jwks_file to check it by";
    return false;
  }
  Result<std::string, std::string> opened = endpoint_->open_jwt(body_);
  if (!opened) {
    problem_ = fmt::format("the answer is a JWT that {}", opened.error());
    return false;
  }
  wipe(body_);
  body_ = *std::move(opened);
  return true;
}

IntrospectionTally HttpCall::of_transfer(CURLcode code) {
  problem_ = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
  if (code == CURLE_OPERATION_TIMEDOUT) return IntrospectionTally::kTimeout;
  return is_of_trust(code) ? IntrospectionTally::kUntrusted : IntrospectionTally::kUnreachable;
}

// What a token can bring about (a 400, say) is no failure of the server.
IntrospectionTally HttpCall::of_status(long status) {
  problem_ = fmt::format("it answered {}", status);
  const bool is_of_token = status >= kBadRequest && status < kServerError &&
                           status != kUnauthorized && status != kForbidden &&
                           status != kTooManyRequests;
  return is_of_token ? IntrospectionTally::kRefused : IntrospectionTally::kServerError;
}

}  // namespace tokenring
