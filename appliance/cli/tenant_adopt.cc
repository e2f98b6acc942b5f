#include <fmt/format.h>

#include <filesystem>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

constexpr size_t kMaxKey = 4096;

void declare_tenant_adopt(base::options::options_description_easy_init add) {
  using base::options::value;
  add("store", value<std::string>()->value_name("DIR"),
      "the store's folder on the appliance (default: the tenant's own)")(
      "key-file", value<std::string>()->value_name("FILE"),
      "file with the key of an encrypted store; the appliance keeps a copy")(
      "yes", "continue even if the appliance forgets points");
  declare_connection(add);
}

int run_tenant_adopt(const base::Arguments& arguments) {
  std::string name = arguments.get("TENANT");
  nlohmann::json order{{"confirm", arguments.has("yes")}};
  if (arguments.has("store"))
    order["directory"] = std::filesystem::absolute(arguments.get("store")).lexically_normal();
  if (arguments.has("key-file"))
    order["key"] = base::read_private_file(arguments.get("key-file"), kMaxKey);
  nlohmann::json answer =
      ApiClient(arguments).post("/tenants/" + base::encode_percent(name) + "/adopt", order);
  const nlohmann::json& adoption = answer["adoption"];
  bool done = adoption.value("done", false);
  if (!done) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("nothing was changed: the store in {} has {} points, the appliance knows {} of "
                    "tenant {}, and would forget {}. If that is right, confirm it with --yes",
                    text_of(adoption, "directory"), text_of(adoption, "found_count"),
                    text_of(adoption, "known_count"), printable(name),
                    text_of(adoption, "lost_count")));
  }
  if (!print_if_json(arguments, answer))
    fmt::print("The store {} in {} is that of tenant {} now. It has {} points.\n",
               text_of(adoption, "id"), text_of(adoption, "directory"), printable(name),
               text_of(adoption, "found_count"));
  if (adoption.value("hold_count", 0) != 0 && !arguments.json())
    fmt::print("{} points are held, as they were where the store comes from.\n",
               text_of(adoption, "hold_count"));
  if (adoption.value("tested_elsewhere_count", 0) != 0 && !arguments.json())
    fmt::print(
        "{} points were tested by another appliance: 'muletto point show' tells with which "
        "result. Here they count as not tested.\n",
        text_of(adoption, "tested_elsewhere_count"));
  if (adoption.value("unreadable_mark_count", 0) != 0 && !arguments.json())
    fmt::print("What is known about {} points cannot be read; the log says why.\n",
               text_of(adoption, "unreadable_mark_count"));
  return 0;
}

}  // namespace

base::Command tenant_adopt_command() {
  base::Command command;
  command.name = "tenant adopt";
  command.summary = "Adopt an existing store for a tenant, with all its machines and points";
  command.positional = {"TENANT"};
  command.declare_options = declare_tenant_adopt;
  command.run = run_tenant_adopt;
  command.notes =
      "For a store that this appliance never had (it is a new appliance, or the store comes from "
      "another one), and for a store that was restored from a copy. A tenant that does not exist "
      "is created. Points that the appliance would forget are listed first, and need --yes.";
  return command;
}

}  // namespace appliance::cli
