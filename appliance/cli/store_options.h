// What the `store` commands share: the key's options, and figures as text and JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "base/program.h"
#include "images/store/store_key.h"
#include "images/store/store_writer.h"

namespace appliance::cli {

// --key-file, --passphrase-file
void declare_key(base::options::options_description_easy_init add);
images::KeySource key_of(const base::Arguments& arguments);

nlohmann::json figures_json(const images::StoreFigures& figures);
nlohmann::json summary_json(const images::PointSummary& point);

}  // namespace appliance::cli
