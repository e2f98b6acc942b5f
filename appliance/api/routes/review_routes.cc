// What people do with verdicts: explanations, corrections, taught rules, exported cases.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/points/point_marking.h"
#include "appliance/verify/verdict_review.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;
using verify::VerdictReview;

json rule_json(const catalog::TaughtRule& rule) {
  return {
      {"number", rule.number},
      {"means", rule.means_up ? "up" : "down"},
      {"lines", base::find_json(rule.lines, base::kOwnJsonLimits).value_or(json::array())},
      {"tolerated", base::find_json(rule.tolerated, base::kOwnJsonLimits).value_or(json::array())},
      {"reason", rule.reason},
      {"taught_by", rule.taught_by},
      {"taught", base::format_time_ms(rule.taught_ms)},
      {"verification", rule.verification}};
}

// The observations, with those marked that decided.
json signals_json(const verify::Judging& judging, const std::vector<size_t>& decided_by) {
  json list = json::array();
  const auto& all = judging.evidence.observations;
  for (size_t i = 0; i < all.size(); ++i) {
    json entry = verify::observation_json(all[i]);
    entry["decisive"] = std::find(decided_by.begin(), decided_by.end(), i) != decided_by.end();
    list.push_back(std::move(entry));
  }
  return list;
}

Response explain(Services& services, const Request& request) {
  verify::Explanation known =
      VerdictReview(services.catalog).explain(request.tenant(), number_in(request, "number"));
  json answer{{"verification", verification_json(known.seen)},
              {"kept", known.judging.has_value()},
              {"rule", nullptr},
              {"rule_sentence", nullptr},
              {"judged_again", nullptr},
              {"signals", json::array()},
              {"expected", json::array()},
              {"last_change_ms", nullptr}};
  if (known.judging) {
    answer["rule"] = verify::rule_name(known.judging->rule);
    answer["rule_sentence"] = verify::rule_sentence(known.judging->rule);
    answer["last_change_ms"] = known.judging->evidence.last_change_ms;
    // Of another verdict than the one that was given, the signals would mislead.
    const std::string& given =
        known.seen.correction ? known.seen.correction->given_verdict : known.seen.verdict;
    bool same = known.again && verify::verdict_name(known.again->kind) == given;
    if (known.again) answer["judged_again"] = verify::verdict_name(known.again->kind);
    answer["signals"] =
        signals_json(*known.judging, same ? known.again->decided_by : std::vector<size_t>{});
    for (const verify::Expectation& each : known.judging->expected)
      answer["expected"].push_back({{"check", each.check}, {"learned", each.learned}});
  }
  return json_response({{"explanation", answer}});
}

Response correct(Services& services, const Request& request) {
  BodyFields body(request.body);
  verify::CorrectionOrder order;
  order.verdict = verify::verdict_from_name(body.required_text("verdict"));
  order.reason = body.required_text("reason");
  order.teach = !body.flag("without_teaching");
  order.outvote_trouble = body.flag("outvote_trouble");
  order.only_text = body.text("only_text").value_or("");
  body.require_no_more();
  verify::CorrectionResult result = VerdictReview(services.catalog)
                                        .correct(request.tenant(), number_in(request, "number"),
                                                 order, request.requester().text());
  services.marking->publish(request.tenant(), result.seen.point);
  return json_response({{"verification", verification_json(result.seen)},
                        {"taught", result.taught ? rule_json(*result.taught) : json(nullptr)},
                        {"note", result.note}});
}

Response withdraw(Services& services, const Request& request) {
  int64_t number = number_in(request, "number");
  services.catalog.withdraw_correction(request.tenant(), number);
  catalog::Verification seen = services.catalog.verification(request.tenant(), number);
  services.marking->publish(request.tenant(), seen.point);
  return json_response({{"verification", verification_json(seen)}});
}

Response export_case(Services& services, const Request& request) {
  verify::ExportedCase exported =
      VerdictReview(services.catalog).export_case(request.tenant(), number_in(request, "number"));
  json replaced = json::array();
  for (const auto& each : exported.replacements) {
    replaced.push_back({{"kind", each.kind},
                        {"original", each.original},
                        {"replaced_by", each.replaced_by},
                        {"count", each.count}});
  }
  return json_response({{"case", base::parse_json(verify::case_text(exported.seen), "the case",
                                                  base::kOwnJsonLimits)},
                        {"replaced", replaced},
                        {"note", exported.note}});
}

Response list_rules(Services& services, const Request& request) {
  const std::string& machine = request.path_value("name");
  services.catalog.machine(request.tenant(), machine);
  json list = json::array();
  for (const catalog::TaughtRule& each : services.catalog.taught_rules(request.tenant(), machine))
    list.push_back(rule_json(each));
  return json_response({{"rules", list}});
}

Response forget_rule(Services& services, const Request& request) {
  services.catalog.machine(request.tenant(), request.path_value("name"));
  services.catalog.forget_rule(request.tenant(), request.path_value("name"),
                               number_in(request, "rule"));
  return list_rules(services, request);
}

}  // namespace

void add_review_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/verifications/{number}/explanation", Privilege::verification_view,
                  Resource::verification, explain},
                 {"PUT", "/api/v1/verifications/{number}/correction",
                  Privilege::verification_change, Resource::verification, correct},
                 {"DELETE", "/api/v1/verifications/{number}/correction",
                  Privilege::verification_change, Resource::verification, withdraw},
                 {"GET", "/api/v1/verifications/{number}/case", Privilege::verification_view,
                  Resource::verification, export_case},
                 {"GET", "/api/v1/machines/{name}/rules", Privilege::verification_view,
                  Resource::machine, list_rules},
                 {"DELETE", "/api/v1/machines/{name}/rules/{rule}", Privilege::verification_change,
                  Resource::machine, forget_rule},
             });
}

}  // namespace appliance::api
