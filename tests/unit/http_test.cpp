// What the admin port makes of requests, good and bad ones.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <string>

#include "app/http.hpp"

using namespace tokenring;

namespace {

// Answers with what it was asked for.
Http echo() {
  return Http([](const HttpRequest& request) {
    if (request.path == "/none") return HttpAnswer{.status = 404, .body = "not found\n"};
    if (request.path == "/closed") return HttpAnswer{.status = 401, .body = "no\n"};
    if (request.is_post)
      return HttpAnswer{.body = fmt::format("{}: {}", request.type, request.body)};
    if (request.path == "/large") return HttpAnswer{.body = std::string(100'000, 'x')};
    return HttpAnswer{.body = fmt::format("[{}] [{}]", request.path, request.bearer)};
  });
}

std::string answered(std::string_view request) {
  Http http = echo();
  return http.answer(request, false).value_or("more");
}

std::string first_line(std::string_view request) {
  const std::string answer = answered(request);
  return answer.substr(0, answer.find("\r\n"));
}

std::string body(std::string_view request) {
  const std::string answer = answered(request);
  const std::size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "no head" : answer.substr(end + 4);
}

}  // namespace

TEST_CASE("a request is answered when its head is there") {
  const std::string request = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t n = 0; n < request.size(); ++n) CHECK(answered(request.substr(0, n)) == "more");
  CHECK(first_line(request) == "HTTP/1.1 200 OK");
  CHECK(body(request) == "[/a] []");
  CHECK(answered(request).find("Connection: close\r\n") != std::string::npos);
  CHECK(answered(request).find("Content-Length: 7\r\n") != std::string::npos);
  CHECK(body(request + "GET /b HTTP/1.1\r\n\r\n") == "[/a] []");
  CHECK(body("GET /%6Detrics HTTP/1.0\r\n\r\n") == "[/metrics] []");
}

TEST_CASE("a query's values are any bytes, the first of a name counts") {
  std::string seen;
  Http http([&](const HttpRequest& request) {
    const std::string* const key = request.parameter("key");
    seen = key == nullptr ? "none" : *key;
    return HttpAnswer();
  });
  const auto key_of = [&](std::string_view query) {
    CHECK(http.answer(fmt::format("GET /where{} HTTP/1.1\r\n\r\n", query), false).has_value());
    return seen;
  };
  CHECK(key_of("?key=a%20b%26%3D%2B%25") == "a b&=+%");
  CHECK(key_of("?x=1&key=%ff%00%0d%0a") == std::string("\xFF\0\r\n", 4));
  CHECK(key_of("?key=one&key=two") == "one");
  CHECK(key_of("?key=") == "");
  CHECK(key_of("?other=1") == "none");
  CHECK(key_of("") == "none");
}

TEST_CASE("an answer lets a browser do no more than it must") {
  const std::string answer = answered("GET /a HTTP/1.1\r\n\r\n");
  CHECK(answer.find("Content-Security-Policy: default-src 'none'; script-src 'self'; ") !=
        std::string::npos);
  CHECK(answer.find("unsafe") == std::string::npos);
  CHECK(answer.find("X-Content-Type-Options: nosniff\r\n") != std::string::npos);
  CHECK(answer.find("Cache-Control: no-store\r\n") != std::string::npos);
  CHECK(answer.find("Set-Cookie") == std::string::npos);
}

TEST_CASE("HEAD has the head of GET") {
  const std::string head = answered("HEAD /a HTTP/1.1\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(head.find("Content-Length: 7\r\n") != std::string::npos);
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("other methods are not allowed, whatever comes with them") {
  for (const std::string method : {"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}) {
    CAPTURE(method);
    const std::string answer =
        answered(method + " /a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    CHECK(answer.starts_with("HTTP/1.1 405 "));
    CHECK(answer.find("Allow: GET, HEAD, POST\r\n") != std::string::npos);
  }
}

TEST_CASE("a POST has its body, as long as it says and no longer") {
  const auto post = [](std::string_view head, std::string_view sent) {
    return body(fmt::format("POST /post HTTP/1.1\r\nContent-Type: Text/X; a=b\r\n{}\r\n\r\n{}",
                            head, sent));
  };
  CHECK(post("Content-Length: 5", "hello") == "text/x: hello");
  CHECK(post("content-length:\t2 ", "hello") == "text/x: he");
  CHECK(post("Content-Length: 0", "") == "text/x: ");
  CHECK(post("Content-Length: 2\r\nContent-Length: 2", "hello") == "text/x: he");
  for (const std::string_view head :
       {"A: b", "Content-Length: ", "Content-Length: -1", "Content-Length: 1x",
        "Content-Length: +1", "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 99999999999999999999999", "Transfer-Encoding: chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked"}) {
    CAPTURE(head);
    CHECK(first_line(fmt::format("POST /post HTTP/1.1\r\n{}\r\n\r\nhello", head)) ==
          "HTTP/1.1 411 Length Required");
  }
  CHECK_FALSE(
      echo().answer("POST /post HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", false).has_value());
  CHECK(echo()
            .answer("POST /post HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", true)
            ->starts_with("HTTP/1.1 413 "));
}

TEST_CASE("statuses are the handler's") {
  CHECK(first_line("GET /none HTTP/1.1\r\n\r\n") == "HTTP/1.1 404 Not Found");
  CHECK(body("GET /none HTTP/1.1\r\n\r\n") == "not found\n");
  CHECK(answered("GET /closed HTTP/1.1\r\n\r\n").find("WWW-Authenticate: Bearer\r\n") !=
        std::string::npos);
}

TEST_CASE("a bearer token is handed on") {
  CHECK(body("GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n") == "[/] [abc]");
  CHECK(body("GET / HTTP/1.1\r\nauthorization: bEARER abc\r\n\r\n") == "[/] [abc]");
  CHECK(body("GET / HTTP/1.1\r\nAuthorization: Basic abc\r\n\r\n") == "[/] []");
  CHECK(body("GET / HTTP/1.1\r\nAuthorization: Bearer\r\n\r\n") == "[/] []");
}

TEST_CASE("what is no request is told so") {
  for (const std::string_view bad :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n", "\x16\x03\x01 / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 x\r\n\r\n",
        "BREW /pot HTTP/1.1\r\n\r\n"}) {
    CAPTURE(bad);
    CHECK(first_line(bad) == "HTTP/1.1 400 Bad Request");
  }
  CHECK(first_line(std::string("GET /\0 HTTP/1.1\r\n\r\n", 20)) == "HTTP/1.1 400 Bad Request");
}

TEST_CASE("a head that does not end is refused when there is room for no more") {
  Http http = echo();
  const std::string endless = "GET / HTTP/1.1\r\nX: " + std::string(8000, 'x');
  CHECK(!http.answer(endless, false).has_value());
  CHECK(http.answer(endless, true).value().starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a small request does not make much of little") {
  std::string ranges = "GET /large HTTP/1.1\r\nRange: bytes=0-";
  while (ranges.size() < 8000) ranges += ",0-";
  const std::string answer = answered(ranges + "\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.size() < 101'000);
  CHECK(answered("GET /large HTTP/1.1\r\nAccept-Encoding: br\r\n\r\n").find("Content-Encoding") ==
        std::string::npos);
  const std::string packed = answered("GET /large HTTP/1.1\r\nAccept-Encoding: gzip, br\r\n\r\n");
  CHECK(packed.find("Content-Encoding: gzip\r\n") != std::string::npos);
  CHECK(packed.size() < 2'000);
}

TEST_CASE("any bytes have an answer") {
  std::mt19937 random(42);
  const std::string_view pieces[] = {"GET ",
                                     "HEAD ",
                                     "/",
                                     "/metrics",
                                     " HTTP/1.1\r\n",
                                     "Host: a\r\n",
                                     "Range: bytes=",
                                     "0-,",
                                     "%",
                                     "?a=b&",
                                     "\r\n",
                                     "\r\n\r\n",
                                     "Content-Length: 99999999999999999999\r\n",
                                     ": ",
                                     "#"};
  Http http = echo();
  for (int round = 0; round < 5'000; ++round) {
    std::string request;
    for (std::size_t n = random() % 12; n > 0; --n) {
      if (random() % 4 == 0)
        request += static_cast<char>(random());
      else
        request += pieces[random() % std::size(pieces)];
    }
    CAPTURE(request);
    CHECK(http.answer(request + "\r\n\r\n", false).value().starts_with("HTTP/1.1 "));
  }
}
