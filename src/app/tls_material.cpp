#include "app/tls_material.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/address.hpp"
#include "app/private_file.hpp"
#include "app/read_file.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

using Text = Result<std::string, std::string>;

std::string line_of(const TlsConfig::File& file, std::string_view what) {
  return fmt::format("{}: {}: {}", file.at, file.path, what);
}

Text read_pem(const TlsConfig::File& file) {
  if (file.path.empty()) return std::string();
  auto text = tokenring::read_pem(file.path);
  if (!text) return unexpected(fmt::format("{}: {}", file.at, text.error()));
  return text;
}

Text read_key(const TlsConfig::File& file) {
  if (file.path.empty()) return std::string();
  auto text = read_private_file(file.path, kPemBytesMax);
  if (!text) return unexpected(fmt::format("{}: {}", file.at, text.error()));
  return text;
}

// The texts of one table, of which the key is wiped behind them.
struct Texts {
  Texts() = default;
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  ~Texts() { wipe(key.data(), key.size()); }

  std::string certificate;
  std::string key;
  std::string client_ca;
  std::string ca;
};

const TlsConfig::File& file_of(const TlsConfig& tls, TlsProblem::Part part, bool is_server) {
  switch (part) {
    case TlsProblem::Part::kKey:
      return tls.key;
    case TlsProblem::Part::kCa:
      return is_server ? tls.client_ca : tls.ca;
    case TlsProblem::Part::kCertificate:
    case TlsProblem::Part::kOther:
      break;
  }
  return tls.certificate;
}

class Reader {
 public:
  Reader(const Config& config, TicketBook& tickets) : config_(config), tickets_(tickets) {}

  // Null, and an error(), where a file is not right.
  std::shared_ptr<const TlsContext> make(const std::string& name, bool is_server) {
    const TlsConfig* const found = tls_named(config_, name);
    if (found == nullptr) {  // What named it stays until a restart, and the file has changed.
      error_ = fmt::format("tls.{}: is still in use by listen or admin; give it as before", name);
      return nullptr;
    }
    const TlsConfig& tls = *found;
    Texts texts;
    take(read_pem(tls.certificate), texts.certificate);
    take(read_key(tls.key), texts.key);
    take(read_pem(tls.client_ca), texts.client_ca);
    take(read_pem(tls.ca), texts.ca);
    if (!error_.empty()) return nullptr;
    auto made = TlsContext::make({.is_server = is_server,
                                  .name = tls.name,
                                  .certificate = texts.certificate,
                                  .key = texts.key,
                                  .ca = is_server ? texts.client_ca : texts.ca,
                                  .client_certificates = tls.client_certificates,
                                  .verifies_name = tls.verifies_name,
                                  .only_1_3 = tls.only_1_3,
                                  .ktls = tls.ktls,
                                  .tickets = is_server ? tickets_of(name) : nullptr});
    if (made) return *std::move(made);
    error_ = line_of(file_of(tls, made.error().part, is_server), made.error().text);
    return nullptr;
  }

  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  void take(Text text, std::string& to) {
    if (text)
      to = *std::move(text);
    else if (error_.empty())
      error_ = text.error();
  }

  std::shared_ptr<TlsTickets> tickets_of(const std::string& name) {
    std::shared_ptr<TlsTickets>& tickets = tickets_[name];
    if (tickets == nullptr) tickets = std::make_shared<TlsTickets>();
    return tickets;
  }

  const Config& config_;
  TicketBook& tickets_;
  std::string error_;
};

}  // namespace

Result<TlsMaterial, std::string> read_tls_material(const Config& config, TicketBook& tickets) {
  std::set<std::string> servers;
  std::set<std::string> clients;
  for (const auto& [address, options] : config.listen_options) servers.insert(options.tls);
  servers.insert(config.admin.tls);
  for (const PoolConfig& pool : config.pools) clients.insert(pool.tls);

  TlsMaterial material;
  Reader reader(config, tickets);
  const auto make_all = [&](const std::set<std::string>& names, bool is_server,
                            TlsMaterial::ByName& made) {
    for (const std::string& name : names)
      if (!name.empty()) made.emplace(name, reader.make(name, is_server));
  };
  make_all(servers, true, material.servers);
  make_all(clients, false, material.clients);
  if (!reader.error().empty()) return unexpected(reader.error());
  return material;
}

Fronts fronts_of(const Config& config, const TlsMaterial& material) {
  Fronts fronts;
  for (const std::string& address : config.listen)
    fronts.push_back(TlsMaterial::find(material.servers, options_of(config, address).tls));
  return fronts;
}

std::string tls_name_of(const Config& config, const PoolConfig& pool, const NodeSpec& node,
                        const Names& names) {
  const TlsConfig* const tls = tls_named(config, pool.tls);
  if (tls != nullptr && !tls->verify_name.empty()) return tls->verify_name;
  const auto is_from = [&](const std::string& name) {
    const auto found = names.find(name);
    return found != names.end() && std::find(found->second.all.begin(), found->second.all.end(),
                                             node.address) != found->second.all.end();
  };
  const bool is_listed =
      std::any_of(pool.nodes.begin(), pool.nodes.end(),
                  [&](const NodeSpec& listed) { return listed.address == node.address; });
  const auto from = std::find_if(pool.expanded.begin(), pool.expanded.end(), is_from);
  const auto address =
      parse_node_address(is_listed || from == pool.expanded.end() ? std::string_view(node.address)
                                                                  : std::string_view(*from));
  return address ? address->host : std::string();
}

}  // namespace tokenring
