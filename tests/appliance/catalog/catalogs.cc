#include "tests/appliance/catalog/catalogs.h"

#include <algorithm>
#include <stdexcept>

#include "base/scratch_directory.h"

namespace appliance::catalog {
namespace {

class FreshSqlite : public FreshCatalog {
 public:
  Catalog& get() override { return *catalog_; }
  void reopen() override {
    catalog_.reset();
    catalog_ = Catalog::open(path_);
  }

 private:
  base::ScratchDirectory scratch_{"/tmp", "muletto-catalog"};
  const std::string path_ = scratch_.path() + "/catalog.sqlite";
  std::unique_ptr<Catalog> catalog_ = Catalog::open(path_);
};

}  // namespace

std::vector<std::string> catalog_kinds() { return {"sqlite"}; }

std::unique_ptr<FreshCatalog> make_catalog(const std::string& kind) {
  if (kind == "sqlite") return std::make_unique<FreshSqlite>();
  throw std::logic_error("no catalog of the kind " + kind);
}

Host make_host(const std::string& name) {
  Host host;
  host.id = HostId::random();
  host.tenant = TenantName(kDefaultTenant);
  host.name = name;
  host.certificate_serial = HostId::random().hex();
  return host;
}

Host enrolled(Catalog& catalog, const std::string& name) {
  Host host = make_host(name);
  base::Sha256 hash = base::sha256(base::as_bytes("secret of " + host.id.hex()));
  catalog.add_token(
      {TokenId::random(), TokenKind::enrolment, TenantName(kDefaultTenant), "", 1, 1000, {}}, hash);
  catalog.enroll_host(hash, host, 10);
  return host;
}

images::PointSummary make_point(const std::string& machine, uint64_t time_ms) {
  images::PointSummary point;
  point.id = images::PointId::random();
  base::Sha256 hash = base::sha256(base::as_bytes(machine));
  std::copy_n(hash.begin(), images::MachineId::kSize, point.machine.bytes.begin());
  point.machine_name = machine;
  point.time_ms = time_ms;
  point.dates = {time_ms, time_ms, false, false};
  point.size = 1 << 20;
  return point;
}

}  // namespace appliance::catalog
