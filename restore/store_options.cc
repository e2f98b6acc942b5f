#include "base/certificates.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/store/place/open_place.h"
#include "restore/appliance_store.h"
#include "restore/commands.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;
using base::options::value;

constexpr uint64_t kMaxTokenFile = 4096;  // bytes

std::string read_token(const std::string& path) {
  base::Bytes bytes = base::read_file(base::real_file_system(), path, kMaxTokenFile);
  std::string token = base::trim(base::as_text(bytes));
  if (token.empty() || token.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorCode::invalid_argument, path + " does not hold a token on one line");
  return token;
}

std::unique_ptr<images::StoreReader> open_appliance(const base::Arguments& arguments,
                                                    std::stop_token stop) {
  for (const char* option : {"key-file", "passphrase-file"}) {
    if (arguments.has(option)) {
      throw Error(ErrorCode::invalid_argument,
                  std::string("--") + option + " is for --store: an appliance has its stores open");
    }
  }
  ApplianceAccess access;
  access.endpoint = base::parse_endpoint(arguments.get("appliance"), kAppliancePort);
  access.fingerprint = base::normalize_fingerprint(arguments.get("fingerprint"));
  access.token = read_token(arguments.get("token-file"));
  access.tenant = arguments.get_or<std::string>("tenant", "");
  access.stop = std::move(stop);
  return ApplianceStore::open(access);
}

}  // namespace

void declare_store(base::options::options_description_easy_init add) {
  add("store", value<std::string>()->value_name("DIR"), "the store");
  add("key-file", value<std::string>()->value_name("FILE"),
      "file with the key of an encrypted store");
  add("passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase of an encrypted store, in its first line");
  add("appliance", value<std::string>()->value_name("HOST:PORT"),
      "in place of a store: an appliance on the network");
  add("fingerprint", value<std::string>()->value_name("HEX"),
      "fingerprint of the appliance's authority; with --appliance");
  add("token-file", value<std::string>()->value_name("FILE"),
      "file with an operator's token; with --appliance");
  add("tenant", value<std::string>()->value_name("TENANT"),
      "whose points; with --appliance (default: the token's tenant, or 'default')");
}

images::StoreReference store_of(const base::Arguments& arguments) {
  return {arguments.get_or<std::string>("store", ""), arguments.get_or<std::string>("key-file", ""),
          arguments.get_or<std::string>("passphrase-file", "")};
}

std::unique_ptr<images::StoreReader> open_store(const base::Arguments& arguments,
                                                std::stop_token stop) {
  if (arguments.has("store") == arguments.has("appliance")) {
    throw Error(ErrorCode::invalid_argument,
                "say where the points are: --store DIR, or --appliance HOST with --fingerprint and "
                "--token-file");
  }
  if (arguments.has("appliance")) return open_appliance(arguments, std::move(stop));
  for (const char* option : {"fingerprint", "token-file", "tenant"}) {
    if (arguments.has(option))
      throw Error(ErrorCode::invalid_argument,
                  std::string("--") + option + " goes with --appliance");
  }
  images::StoreReference store = store_of(arguments);
  return images::StoreReader::open(images::open_place(store), images::read_key_source(store));
}

}  // namespace restore
