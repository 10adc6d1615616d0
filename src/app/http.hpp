// Http: requests of HTTP/1.0 and 1.1 to their answers, bytes to bytes, by cpp-httplib's grammar. It
// does no I/O and waits for nothing; see io/port.hpp for what carries the bytes.
//
// An answer closes its connection. Of methods there are GET, HEAD and POST; the body of a POST is
// what its Content-Length says, whole. Each tells a browser to keep nothing of it, to take it for
// nothing else, and to load for it only what comes from here, in files of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tokenring {

struct HttpRequest {
  std::string_view path;    // Decoded, without the query.
  std::string_view bearer;  // The token of `Authorization: Bearer TOKEN` (RFC 6750); empty: none.
  std::string_view host;    // Whom the peer takes us for, with the port; empty: it does not say.
  std::multimap<std::string, std::string> query;  // Decoded: any bytes.
  bool is_post = false;
  std::string_view type = {};  // Of the body, without parameters, in small letters.
  std::string_view body = {};

  // The first of that name; null: there is none. Valid as long as the request.
  [[nodiscard]] const std::string* parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? nullptr : &found->second;
  }
};

struct HttpAnswer {
  int status = 200;
  std::string body = {};
  std::string type = "text/plain; charset=utf-8";
};

class Http {
 public:
  // Only GET, HEAD and POST come to it. Valid answers: 200, 202, 400, 401, 403, 404, 502, 503.
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;

  explicit Http(Handler handler);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // The answer to a request that is there, with its body; nothing: more must come. `is_full`: there
  // will be no more than this.
  [[nodiscard]] std::optional<std::string> answer(std::string_view received, bool is_full);

 private:
  class Grammar;
  std::unique_ptr<Grammar> grammar_;
};

}  // namespace tokenring
