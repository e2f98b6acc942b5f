#include "appliance/verify/anonymizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "appliance/verify/console_text.h"
#include "appliance/verify/neutral_words.h"

namespace appliance::verify {
namespace {

constexpr size_t kShortWord = 2;    // letters: too few to say anything
constexpr size_t kShortNumber = 4;  // digits
constexpr size_t kShortMixed = 2;   // digits in a word with letters: "srv2"
constexpr size_t kMaxToken = 256;   // bytes that are looked at as an address or a domain
constexpr std::string_view kEnds = " \t\n\"'()[]<>{},;=|";  // of tokens

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t i = 0; i <= text.size();) {
    size_t end = std::min(text.find(separator, i), text.size());
    parts.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return parts;
}

template <typename Check>
bool all_of(std::string_view text, Check check) {
  return !text.empty() && std::all_of(text.begin(), text.end(), check);
}

bool is_ipv4(std::string_view text) {
  auto parts = split(text, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return part.size() <= 3 && all_of(part, is_digit);
         });
}

bool is_mac(std::string_view text) {
  for (char separator : {':', '-'}) {
    auto parts = split(text, separator);
    if (parts.size() == 6 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
          return part.size() == 2 && all_of(part, is_hex);
        }))
      return true;
  }
  return false;
}

// A clock has digits and colons, too.
bool is_ipv6(std::string_view text) {
  auto colons = std::count(text.begin(), text.end(), ':');
  bool has_form = colons >= 2 && std::all_of(text.begin(), text.end(),
                                             [](char c) { return is_hex(c) || c == ':'; });
  bool has_letter = std::any_of(text.begin(), text.end(), is_letter);
  return has_form && (has_letter || colons > 2 || text.find("::") != std::string_view::npos);
}

bool is_uuid(std::string_view text) {
  constexpr std::array<size_t, 5> kSizes{8, 4, 4, 4, 12};
  auto parts = split(text, '-');
  if (parts.size() != kSizes.size()) return false;
  for (size_t i = 0; i < kSizes.size(); ++i) {
    if (parts[i].size() != kSizes[i] || !all_of(parts[i], is_hex)) return false;
  }
  return true;
}

bool is_domain(std::string_view text) {
  // Units of systemd and files have dots, too; their words are treated one by one.
  constexpr std::array<std::string_view, 22> kOtherEnds{
      "service", "socket", "mount", "automount", "target", "timer", "slice", "scope",
      "device",  "path",   "swap",  "conf",      "img",    "efi",   "so",    "ko",
      "gz",      "cfg",    "log",   "sh",        "nsh",    "c"};
  auto labels = split(text, '.');
  if (labels.size() < 2) return false;
  bool has_form = std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    return all_of(label, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
  });
  // Words that say nothing one by one say nothing together: "systemd.unit".
  bool is_harmless = std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    return label.size() <= kShortWord || is_phrase_word(label) || is_neutral_word(lowered(label));
  });
  if (is_harmless) return false;
  std::string last = lowered(labels.back());
  return has_form && last.size() >= 2 && all_of(last, is_letter) &&
         std::find(kOtherEnds.begin(), kOtherEnds.end(), last) == kOtherEnds.end();
}

bool is_mail(std::string_view text) {
  size_t at = text.find('@');
  return at != std::string_view::npos && at > 0 && is_domain(text.substr(at + 1));
}

// "vda1", "ttyS0", "eth0": the kernel's names.
bool is_device(std::string_view word) {
  constexpr std::array<std::string_view, 20> kDevices{
      "vd",  "sd",  "hd",  "xvd", "sr",   "fd",  "md",  "dm",  "loop", "nvme",
      "eth", "ens", "enp", "tty", "ttys", "usb", "cpu", "ata", "ext",  "hvc"};
  constexpr size_t kLongest = 10;
  std::string lower = lowered(word);
  size_t letters = lower.find_first_of("0123456789");
  if (word.size() > kLongest || letters == std::string::npos) return false;
  std::string head = lower.substr(0, letters);
  for (std::string_view each : kDevices) {
    bool one_more = head.size() == each.size() + 1 && head.starts_with(each);
    if (head == each || one_more) return true;
  }
  return false;
}

// "a", "b", …, "z", "ba", …: letters only, so that a taught text keeps its words.
std::string lettered(size_t number) {
  constexpr size_t kLetters = 26;
  std::string text;
  do {
    text.insert(text.begin(), static_cast<char>('a' + number % kLetters));
    number /= kLetters;
  } while (number > 0);
  return text;
}

}  // namespace

Anonymizer::Anonymizer(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string lower = lowered(name), part;
    for (char c : lower + ".") {
      if (is_letter(c) || is_digit(c)) {
        part += c;
        continue;
      }
      // Verdicts depend on words of phrases; such a name says nothing about anybody.
      if (part.size() > kShortWord && !is_phrase_word(part)) names_[part] = 0;
      part.clear();
    }
  }
}

std::string Anonymizer::neutral(const char* kind, size_t index) const {
  std::string_view word = kind;
  if (word == "address") return fmt::format("192.0.2.{}", index % 254 + 1);
  if (word == "domain") return fmt::format("domain{}.example", lettered(index));
  if (word == "mail") return fmt::format("mail{}@domain.example", lettered(index));
  if (word == "identifier") return fmt::format("id{:06}", index);
  return fmt::format("{}{}", kind, lettered(index));
}

std::string Anonymizer::replace(const char* kind, std::string_view original) {
  std::string key = lowered(original);
  auto [known, is_new] = known_.try_emplace(key, replacements_.size());
  if (is_new) {
    std::string by = std::string_view(kind) == "number" ? std::string(original.size(), '0')
                                                        : neutral(kind, counts_[kind]++);
    replacements_.push_back({kind, std::string(original), std::move(by), 0});
  }
  Replacement& replacement = replacements_[known->second];
  ++replacement.count;
  return replacement.replaced_by;
}

// Runs of letters and digits; what is between them stays.
std::string Anonymizer::clean_words(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    if (!is_letter(text[i]) && !is_digit(text[i])) {
      result += text[i++];
      continue;
    }
    size_t end = i;
    while (end < text.size() && (is_letter(text[end]) || is_digit(text[end]))) ++end;
    std::string_view word = text.substr(i, end - i);
    i = end;
    std::string lower = lowered(word);
    auto digits = static_cast<size_t>(std::count_if(word.begin(), word.end(), is_digit));
    if (names_.contains(lower)) {
      result += replace("name", word);
    } else if (digits == word.size()) {
      result += digits <= kShortNumber ? std::string(word) : replace("number", word);
    } else if (digits > 0 && is_device(word)) {
      result += word;
    } else if (digits > kShortMixed) {
      result += replace("identifier", word);
    } else if (digits > 0 && digits < word.size() && is_digit(word.back()) &&
               std::all_of(word.begin(), word.end() - static_cast<ptrdiff_t>(digits), is_letter)) {
      result += clean_words(word.substr(0, word.size() - digits));
      result += word.substr(word.size() - digits);
    } else if (digits > 0) {
      result += word.size() <= kShortWord ? std::string(word) : replace("identifier", word);
    } else if (word.size() <= kShortWord || is_phrase_word(lower) || is_neutral_word(lower)) {
      result += word;
    } else {
      result += replace("word", word);
    }
  }
  return result;
}

std::string Anonymizer::clean_token(std::string_view token) {
  size_t end = token.size();
  while (end > 0 && std::string_view(".:!?").find(token[end - 1]) != std::string_view::npos) --end;
  std::string_view core = token.substr(0, end), tail = token.substr(end);
  if (core.empty() || core.size() > kMaxToken) return clean_words(token);
  std::string rest(tail);
  // An address with a port, a prefix or a path after it.
  size_t behind = core.find_first_of(":/");
  if (behind != std::string_view::npos &&
      (is_ipv4(core.substr(0, behind)) || is_domain(core.substr(0, behind)))) {
    rest = clean_words(core.substr(behind)) + rest;
    core = core.substr(0, behind);
  }
  bool is_local = core == "127.0.0.1" || core == "0.0.0.0" || core == "::1" || core == "::";
  if (is_local) return std::string(core) + rest;
  if (is_mail(core)) return replace("mail", core) + rest;
  if (is_ipv4(core)) return replace("address", core) + rest;
  if (is_mac(core) || is_uuid(core) || is_ipv6(core)) return replace("identifier", core) + rest;
  if (is_domain(core)) return replace("domain", core) + rest;
  return clean_words(core) + rest;
}

std::string Anonymizer::clean(std::string_view raw) {
  std::string text = plain_text(raw), result;
  for (size_t i = 0; i < text.size();) {
    size_t end = std::min(text.find_first_of(kEnds, i), text.size());
    result += clean_token(std::string_view(text).substr(i, end - i));
    if (end < text.size()) result += text[end];
    i = end + 1;
  }
  return result;
}

}  // namespace appliance::verify
