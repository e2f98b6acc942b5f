// Takes a client's data out of texts, so that they can leave the appliance. Not by looking for what
// may be private, since nobody can list that, but by keeping only what is known to be harmless: words
// that boot messages of common systems consist of (neutral_words.h, and every phrase of
// console_text.cc, on which verdicts depend), short numbers and names of devices. Every other word is
// replaced, the same word always by the same neutral one, also across texts: "worda", "wordb"; known
// names become "namea"; addresses, domains, mail addresses and identifiers keep their form. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::verify {

class Anonymizer {
 public:
  // `names`: of the tenant, its machines and hosts. Their parts between "." and "-" count too.
  explicit Anonymizer(const std::vector<std::string>& names);

  // Lines stay lines. What is not text that plain_text() would leave is left out.
  std::string clean(std::string_view text);

  struct Replacement {
    std::string kind;  // "name", "word", "address", "domain", "mail", "number", "identifier"
    std::string original;
    std::string replaced_by;
    size_t count = 0;
  };
  // In the order of their first use.
  const std::vector<Replacement>& replacements() const { return replacements_; }

 private:
  std::string clean_token(std::string_view token);
  std::string clean_words(std::string_view text);
  std::string replace(const char* kind, std::string_view original);
  std::string neutral(const char* kind, size_t index) const;

  std::map<std::string, size_t, std::less<>> names_;  // in lower case
  std::map<std::string, size_t> known_;               // original in lower case: its replacement
  std::map<std::string, size_t> counts_;              // of each kind
  std::vector<Replacement> replacements_;
};

}  // namespace appliance::verify
