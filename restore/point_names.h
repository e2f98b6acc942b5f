// The points of a store as completion offers them. Functions; not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/program.h"
#include "images/store/store_reader.h"

namespace restore {

// "web@latest" for each machine; if `begun` holds an '@', the times of that machine's newest points
// instead, newest first. Throws what StoreReader throws.
std::vector<base::Candidate> point_names(images::StoreReader& store, const std::string& begun);

}  // namespace restore
