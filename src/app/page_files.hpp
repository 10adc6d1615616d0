// The files of the admin page, src/app/page/, as they are in the binary: page/embed.py writes them
// into a source file when it is built.
#pragma once

#include <span>
#include <string_view>

namespace tokenring {

struct PageFile {
  std::string_view path;  // "/" is index.html.
  std::string_view type;  // Of its content.
  std::string_view text;
};

[[nodiscard]] std::span<const PageFile> page_files() noexcept;

}  // namespace tokenring
