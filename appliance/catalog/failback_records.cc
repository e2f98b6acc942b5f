#include "appliance/catalog/failback_records.h"

#include "base/enum_names.h"

namespace appliance::catalog {
namespace {

using Step = FailbackStep;
constexpr auto kSteps =
    base::enum_names<Step>("a step of a failback", {{Step::surveying, "surveying"},
                                                    {Step::copying, "copying"},
                                                    {Step::following, "following"},
                                                    {Step::ready, "ready"},
                                                    {Step::ending, "ending"},
                                                    {Step::last, "last"},
                                                    {Step::handing, "handing"},
                                                    {Step::starting, "starting"},
                                                    {Step::kept, "kept"},
                                                    {Step::done, "done"},
                                                    {Step::cancelled, "cancelled"},
                                                    {Step::failed, "failed"}});
constexpr auto kEnds = base::enum_names<FailbackEnd>(
    "a way to end a VM",
    {{FailbackEnd::shutdown, "shutdown"}, {FailbackEnd::power_off, "power-off"}});

}  // namespace

std::string_view failback_step_name(FailbackStep step) { return kSteps.name(step); }
std::string_view failback_end_name(FailbackEnd end) { return kEnds.name(end); }
FailbackEnd failback_end_from_name(std::string_view name) { return kEnds.value(name); }

}  // namespace appliance::catalog
