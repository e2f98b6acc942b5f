#include "appliance/cli/file_look.h"

#include <fmt/format.h>

#include "appliance/cli/present.h"
#include "base/guarded_thread.h"
#include "base/text.h"
#include "restore/file_output.h"

namespace appliance::cli {

FileLook::FileLook(const ApiClient& client, const base::Arguments& arguments, std::string point)
    : client_(client), base_(fmt::format("/points/{}/files", base::encode_percent(point))) {
  auto keys = restore::volume_keys_of(arguments);
  if (keys.empty()) return;
  nlohmann::json secrets = nlohmann::json::array();
  for (const auto& each : keys) secrets.push_back(base::to_hex(each.secret));
  nlohmann::json answer = client_.post(base_ + "/looks", {{"secrets_hex", secrets}});
  id_ = text_of(answer["look"], "id");
}

FileLook::~FileLook() {
  if (id_.empty()) return;
  base::run_guarded("the end of a look into files",
                    [this] { client_.remove(fmt::format("{}/looks/{}", base_, id_)); });
}

std::string FileLook::path(const std::string& what) const {
  std::string path = base_ + what + "?";
  return id_.empty() ? path : path + "look=" + id_ + "&";
}

std::string FileLook::field(const char* name) const {
  return id_.empty() ? "" : fmt::format("&{}={}", name, id_);
}

void declare_files(base::options::options_description_easy_init add) {
  restore::declare_volume_keys(add);
  declare_connection(add);
}

std::string path_field(const base::Arguments& arguments) {
  return "path=" + base::encode_percent(arguments.get_or<std::string>("PLACE", "/"));
}

}  // namespace appliance::cli
