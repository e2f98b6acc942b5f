// Prometheus' text format (exposition format 0.0.4). Values; not thread-safe.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace appliance::api {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class MetricsText {
 public:
  // Each metric's samples are kept together, in the order in which metrics were first named.
  void gauge(std::string_view name, std::string_view help, const Labels& labels, double value);
  std::string text() const;

 private:
  struct Family {
    std::string help;
    std::string samples;
  };
  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace appliance::api
