// TlsMaterial: the [tls] tables of a configuration with what is in the files that they name.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "app/config.hpp"
#include "io/worker.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// By the name of the table: tickets that were given before a reload are good after it.
using TicketBook = std::map<std::string, std::shared_ptr<TlsTickets>, std::less<>>;

struct TlsMaterial {
  using ByName = std::map<std::string, std::shared_ptr<const TlsContext>, std::less<>>;
  ByName servers;  // Those that listen or admin names,
  ByName clients;  // and those of pools.

  // Null: none of that name.
  [[nodiscard]] static std::shared_ptr<const TlsContext> find(const ByName& all,
                                                              std::string_view name) {
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
  }
};

// Reads what the configuration names. The error is one line: FILE:LINE:COLUMN: key: PATH: what.
[[nodiscard]] Result<TlsMaterial, std::string> read_tls_material(const Config& config,
                                                                 TicketBook& tickets);

// The TLS of each address of `listen`, in its order.
[[nodiscard]] Fronts fronts_of(const Config& config, const TlsMaterial& material);

// What the certificate of a node has to be for: verify_name, else its host as the file has it,
// which is the expanded name's where it comes of one. `node` is one of a snapshot.
[[nodiscard]] std::string tls_name_of(const Config& config, const PoolConfig& pool,
                                      const NodeSpec& node, const Names& names);

}  // namespace tokenring
