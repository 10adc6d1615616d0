#include "app/http.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <charconv>

namespace tokenring {

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kTooLarge =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: "
    "0\r\n\r\n";
constexpr std::string_view kLengthRequired =
    "HTTP/1.1 411 Length Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kTooLargeBody =
    "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kBadRequest =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

constexpr std::string_view kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// What httplib takes for a connection: a request that is there, and room for its answer.
class Memory final : public httplib::Stream {
 public:
  explicit Memory(std::string_view request) : request_(request) {}

  [[nodiscard]] bool is_readable() const override { return !request_.empty(); }
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = request_.copy(to, size);
    request_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    answer_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  [[nodiscard]] socket_t socket() const override { return INVALID_SOCKET; }

  [[nodiscard]] std::string take() noexcept { return std::move(answer_); }

 private:
  std::string_view request_;
  std::string answer_;
};

char small(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
// `wanted` is in small letters.
bool same_letters(std::string_view text, std::string_view wanted) {
  return std::equal(text.begin(), text.end(), wanted.begin(), wanted.end(),
                    [](char a, char b) { return small(a) == b; });
}

// The value of a head's line; empty: it has none; "?": several that differ.
std::string_view header_of(std::string_view head, std::string_view name) {
  std::string_view found;
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon != name.size() || !same_letters(line.substr(0, colon), name)) continue;
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t") + 1);
    if (!found.empty() && found != value) return "?";
    found = value;
  }
  return found;
}

// How long the body of a POST is; empty: that cannot be told.
std::optional<std::size_t> body_size(std::string_view head) {
  if (!header_of(head, "transfer-encoding").empty()) return std::nullopt;
  const std::string_view text = header_of(head, "content-length");
  std::size_t size = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return size;
}

std::string media_type(std::string_view header) {
  std::string type(header.substr(0, header.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::transform(type.begin(), type.end(), type.begin(), small);
  return type;
}

std::string_view bearer_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  const bool fits = authorization.size() > kScheme.size() &&
                    same_letters(authorization.substr(0, kScheme.size()), kScheme);
  return fits ? authorization.substr(kScheme.size()) : std::string_view();
}

// Of what a request may ask for in its head nothing is kept that would make much of little: parts
// of an answer many times over, the slowest compression, a wait for its body.
void tame(httplib::Request& request) {
  request.ranges.clear();
  request.headers.erase("Expect");
  const bool takes_gzip =
      request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  request.headers.erase("Accept-Encoding");
  if (takes_gzip) request.set_header("Accept-Encoding", "gzip");
}

}  // namespace

class Http::Grammar final : public httplib::Server {
 public:
  explicit Grammar(Http::Handler handler) {
    // Before routing, which would match paths by regular expressions.
    set_pre_routing_handler([this, handler = std::move(handler)](const httplib::Request& request,
                                                                 httplib::Response& response) {
      const bool is_post = request.method == "POST";
      if (!is_post && request.method != "GET" && request.method != "HEAD") {
        response.status = 405;
        response.set_header("Allow", "GET, HEAD, POST");
        response.set_content("method not allowed\n", "text/plain; charset=utf-8");
        return HandlerResponse::Handled;
      }
      const std::string authorization = request.get_header_value("Authorization");
      const std::string host = request.get_header_value("Host");
      const std::string type = media_type(request.get_header_value("Content-Type"));
      HttpAnswer answer = handler({.path = request.path,
                                   .bearer = bearer_of(authorization),
                                   .host = host,
                                   .query = request.params,
                                   .is_post = is_post,
                                   .type = type,
                                   .body = is_post ? body_ : std::string_view()});
      response.status = answer.status;
      response.set_header("Cache-Control", "no-store");
      response.set_header("Accept-Ranges", "none");
      response.set_header("Content-Security-Policy", std::string(kContentPolicy));
      response.set_header("X-Content-Type-Options", "nosniff");
      response.set_header("Referrer-Policy", "no-referrer");
      response.set_header("Cross-Origin-Resource-Policy", "same-origin");
      if (answer.status == 401) response.set_header("WWW-Authenticate", "Bearer");
      response.set_content(std::move(answer.body), answer.type);
      return HandlerResponse::Handled;
    });
  }

  std::string answer(std::string_view request, std::string_view body) {
    body_ = body;
    Memory memory(request);
    bool closed = false;
    process_request(memory, true, closed, tame);
    std::string answer = memory.take();
    return answer.empty() ? std::string(kBadRequest) : answer;
  }

 private:
  std::string_view body_;  // Of the request that is being answered.
};

Http::Http(Handler handler) : grammar_(std::make_unique<Grammar>(std::move(handler))) {}

Http::~Http() = default;

std::optional<std::string> Http::answer(std::string_view received, bool is_full) {
  const std::size_t end = received.find(kHeadEnd);
  if (end == std::string_view::npos)
    return is_full ? std::optional<std::string>(kTooLarge) : std::nullopt;
  const std::string_view head = received.substr(0, end + kHeadEnd.size());
  if (!head.starts_with("POST ")) return grammar_->answer(head, {});
  const std::optional<std::size_t> size = body_size(head.substr(0, end));
  if (!size) return std::string(kLengthRequired);
  const std::string_view body = received.substr(head.size());
  if (body.size() >= *size) return grammar_->answer(head, body.substr(0, *size));
  return is_full ? std::optional<std::string>(kTooLargeBody) : std::nullopt;
}

}  // namespace tokenring
