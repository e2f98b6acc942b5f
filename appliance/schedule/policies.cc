#include "appliance/schedule/policies.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::schedule {

using base::Error;
using base::ErrorCode;

policy::PolicyText Policies::text(const catalog::TenantName& tenant, const std::string& name) {
  for (const auto& [other, body] : records_.policies(tenant)) {
    if (other == name) return policy::policy_from_json(name, body);
  }
  if (name != policy::kDefaultPolicy)
    throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", name.substr(0, 255)));
  policy::PolicyText text;
  text.name = name;
  return text;
}

std::shared_ptr<const policy::Policy> Policies::find(const catalog::TenantName& tenant,
                                                     const std::string& name) {
  policy::PolicyText wanted;
  wanted.name = name.empty() ? std::string(policy::kDefaultPolicy) : name;
  const Key key{tenant, wanted.name};
  try {
    wanted = text(tenant, wanted.name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::invalid_argument) throw;
  }
  std::string body = policy::policy_to_json(wanted);
  auto compiled = compiled_.lock();
  Compiled& known = (*compiled)[key];
  if (!known.meaning || known.body != body)
    known = {body, std::make_shared<const policy::Policy>(policy::compile(wanted))};
  return known.meaning;
}

}  // namespace appliance::schedule
