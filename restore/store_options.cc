#include "images/store/place/open_place.h"
#include "restore/commands.h"

namespace restore {

using base::options::value;

void declare_store(base::options::options_description_easy_init add) {
  add("store", value<std::string>()->required()->value_name("DIR"), "the store");
  add("key-file", value<std::string>()->value_name("FILE"),
      "file with the key of an encrypted store");
  add("passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase of an encrypted store, in its first line");
}

images::StoreReference store_of(const base::Arguments& arguments) {
  return {arguments.get("store"), arguments.get_or<std::string>("key-file", ""),
          arguments.get_or<std::string>("passphrase-file", "")};
}

std::unique_ptr<images::StoreReader> open_store(const base::Arguments& arguments) {
  images::StoreReference store = store_of(arguments);
  return images::StoreReader::open(images::open_place(store), images::read_key_source(store));
}

}  // namespace restore
