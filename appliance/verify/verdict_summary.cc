#include "appliance/verify/verdict_summary.h"

#include <algorithm>

namespace appliance::verify {
namespace {

bool is_sign(const Observation& seen) {
  switch (seen.signal) {
    case Signal::agent:
    case Signal::service: return seen.good;
    case Signal::screen:
    case Signal::serial:
      return seen.meaning == TextMeaning::login || seen.meaning == TextMeaning::taught_up;
    default: return false;
  }
}

void note_sign(Summary& summary, const Observation& seen) {
  bool known =
      std::any_of(summary.signs.begin(), summary.signs.end(), [&](const Observation* each) {
        return each->signal == seen.signal && each->subject == seen.subject;
      });
  if (!known) summary.signs.push_back(&seen);
}

// A later text of the same source cancels a failure that is not final, and a question.
void note_text(Summary& summary, const Observation& seen) {
  (seen.signal == Signal::screen ? summary.screen : summary.serial) = &seen;
  if (waits_for_person(seen.meaning)) {
    if (summary.waiting == nullptr || summary.waiting->meaning != seen.meaning)
      summary.waiting = &seen;
  } else if (summary.waiting != nullptr && summary.waiting->signal == seen.signal &&
             seen.meaning !=
                 TextMeaning::nothing) {  // a screen that is drawn again is empty between
    summary.waiting = nullptr;
  }
  if (means_failure(seen.meaning)) {
    bool same = summary.failure != nullptr && summary.failure->meaning == seen.meaning;
    bool panic =
        summary.failure != nullptr && summary.failure->meaning == TextMeaning::kernel_panic;
    if (!same && !panic) summary.failure = &seen;
    return;
  }
  bool takes_back = seen.meaning == TextMeaning::login || seen.meaning == TextMeaning::taught_up ||
                    seen.meaning == TextMeaning::booting || waits_for_person(seen.meaning);
  if (summary.failure != nullptr && takes_back && summary.failure->signal == seen.signal &&
      !is_final(summary.failure))
    summary.failure = nullptr;
}

void forget_before_reboot(Summary& summary, const Observation& seen) {
  ++summary.reboot_count;
  summary.last_reboot_ms = seen.at_ms;
  summary.failure = nullptr;
  summary.screen = summary.serial = summary.waiting = nullptr;
  summary.unreachable = nullptr;
  summary.signs.clear();
  summary.answers.clear();
}

// A check that answered and no longer does is not a sign of life any more.
void note_answer(Summary& summary, const Observation& seen) {
  summary.answers[seen.subject] = &seen;
  if (seen.good) return;
  std::erase_if(summary.signs, [&](const Observation* each) {
    return each->signal == seen.signal && each->subject == seen.subject;
  });
}

// Whether "vdb1" is a partition of "vdb".
bool is_part_of(std::string_view part, std::string_view disk) {
  if (part.size() <= disk.size() || !part.starts_with(disk)) return false;
  return part.find_first_not_of("0123456789", disk.size()) == std::string_view::npos;
}

}  // namespace

bool is_final(const Observation* failure) {
  return failure != nullptr && (failure->meaning == TextMeaning::kernel_panic ||
                                failure->meaning == TextMeaning::disk_error);
}

Summary summarize(const Evidence& evidence) {
  Summary summary;
  summary.first = evidence.observations.data();
  for (const Observation& seen : evidence.observations) {
    switch (seen.signal) {
      case Signal::trouble: summary.trouble = &seen; break;
      case Signal::power_off: summary.power_off = &seen; break;
      case Signal::reboot: forget_before_reboot(summary, seen); break;
      case Signal::address:
        (seen.good ? summary.address : summary.unreachable) = &seen;
        if (seen.good) summary.unreachable = nullptr;
        break;
      case Signal::volume: summary.volumes[seen.subject] = &seen; break;
      case Signal::file_system:
        if (!seen.good) summary.damage = &seen;
        break;
      case Signal::screen:
      case Signal::serial: note_text(summary, seen); break;
      case Signal::agent:
      case Signal::service:
      case Signal::script: note_answer(summary, seen); break;
      default: break;
    }
    if (is_sign(seen)) note_sign(summary, seen);
  }
  return summary;
}

const Observation* answer_of(const Summary& summary, const std::string& check) {
  auto answer = summary.answers.find(check);
  return answer != summary.answers.end() && answer->second->good ? answer->second : nullptr;
}

const Observation* loss_of(const Summary& summary, std::string_view volume) {
  for (const auto& [name, seen] : summary.volumes) {
    if (!seen->good && (name == volume || is_part_of(volume, name))) return seen;
  }
  return nullptr;
}

}  // namespace appliance::verify
