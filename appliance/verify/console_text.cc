#include "appliance/verify/console_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/text.h"

namespace appliance::verify {
namespace {

constexpr size_t kMaxLine = 160;
constexpr size_t kReadableLetters = 6;  // fewer are noise of the text recognition

struct Phrase {
  std::string_view words;  // normalised by folded(): lower case, o for 0, l for 1 and |
  TextMeaning meaning;
};

// Phrases of systems in use, as their programs print them.
constexpr std::array kPhrases{
    // SeaBIOS, OVMF, old BIOSes, boot sectors of DOS and Windows
    Phrase{"no bootable device", TextMeaning::no_system},
    Phrase{"no bootable option or device", TextMeaning::no_system},
    Phrase{"not a bootable disk", TextMeaning::no_system},
    Phrase{"could not read the boot disk", TextMeaning::no_system},
    Phrase{"operating system not found", TextMeaning::no_system},
    Phrase{"missing operating system", TextMeaning::no_system},
    Phrase{"error loading operating system", TextMeaning::no_system},
    Phrase{"non-system disk", TextMeaning::no_system},
    Phrase{"uefi interactive shell", TextMeaning::no_system},
    Phrase{"bootmgr is missing", TextMeaning::boot_loader},
    Phrase{"bootmgr image is corrupt", TextMeaning::boot_loader},
    Phrase{"ntldr is missing", TextMeaning::boot_loader},
    Phrase{"grub rescue>", TextMeaning::boot_loader},
    Phrase{"entering rescue mode", TextMeaning::boot_loader},
    Phrase{"grub> ", TextMeaning::boot_loader},
    Phrase{"minimal bash-like line editing", TextMeaning::boot_loader},
    Phrase{"grub hard disk error", TextMeaning::boot_loader},
    // Kernel and initramfs
    Phrase{"unable to mount root fs", TextMeaning::kernel_panic},
    Phrase{"kernel panic", TextMeaning::kernel_panic},
    Phrase{"panic - not syncing", TextMeaning::kernel_panic},
    Phrase{"(initramfs)", TextMeaning::no_root},
    Phrase{"gave up waiting for root", TextMeaning::no_root},
    Phrase{"gave up waiting for suspend", TextMeaning::booting},
    Phrase{"dropping to a shell", TextMeaning::no_root},
    Phrase{"no root device", TextMeaning::no_root},
    Phrase{"no root: ", TextMeaning::no_root},
    Phrase{"dracut:/#", TextMeaning::no_root},
    Phrase{"entering emergency mode", TextMeaning::emergency},
    Phrase{"you are in emergency mode", TextMeaning::emergency},
    Phrase{"you are in rescue mode", TextMeaning::emergency},
    Phrase{"root password for maintenance", TextMeaning::emergency},
    Phrase{"press enter for maintenance", TextMeaning::emergency},
    Phrase{"run fsck manually", TextMeaning::emergency},
    // Windows
    Phrase{"your pc ran into a problem", TextMeaning::blue_screen},
    Phrase{"your device ran into a problem", TextMeaning::blue_screen},
    Phrase{"a problem has been detected and windows", TextMeaning::blue_screen},
    Phrase{"needs to be repaired", TextMeaning::blue_screen},
    Phrase{"windows failed to start", TextMeaning::blue_screen},
    Phrase{"automatic repair couldn", TextMeaning::blue_screen},
    Phrase{"inaccessible_boot", TextMeaning::blue_screen},
    // Booting
    Phrase{"booting from", TextMeaning::booting},
    Phrase{"seabios (", TextMeaning::booting},
    Phrase{"ipxe", TextMeaning::booting},
    Phrase{"welcome to grub", TextMeaning::booting},
    Phrase{"grub loading", TextMeaning::booting},
    Phrase{"loading linux", TextMeaning::booting},
    Phrase{"loading initial ramdisk", TextMeaning::booting},
    Phrase{"decompressing linux", TextMeaning::booting},
    Phrase{"booting the kernel", TextMeaning::booting},
    Phrase{"linux version", TextMeaning::booting},
    Phrase{"starting version", TextMeaning::booting},
    Phrase{"starting windows", TextMeaning::booting},
    Phrase{"systemd[l]", TextMeaning::booting},
    Phrase{"[ ok ]", TextMeaning::booting},
    Phrase{"will be executed automatically in", TextMeaning::booting},
    // Windows' boot manager in other languages
    Phrase{"bootmgr fehlt", TextMeaning::boot_loader},
    Phrase{"bootmgr mangler", TextMeaning::boot_loader},
    Phrase{"bootmgr ontbreekt", TextMeaning::boot_loader},
    Phrase{"bootmgr mancante", TextMeaning::boot_loader},
    Phrase{"bootmgr manquant", TextMeaning::boot_loader},
    Phrase{"bootmgr est manquant", TextMeaning::boot_loader},
    Phrase{"falta bootmgr", TextMeaning::boot_loader},
    // A person is needed
    Phrase{"please unlock disk", TextMeaning::passphrase},
    Phrase{"enter passphrase for", TextMeaning::passphrase},
    Phrase{"please enter passphrase", TextMeaning::passphrase},
    Phrase{"passphrase for disk", TextMeaning::passphrase},
    Phrase{"enter the password to unlock this drive", TextMeaning::passphrase},
    Phrase{"enter the recovery key", TextMeaning::passphrase},
    Phrase{"bitlocker recovery", TextMeaning::passphrase},
    Phrase{"<y>?", TextMeaning::question},
    Phrase{"<y/n>?", TextMeaning::question},
    Phrase{"keys to select which entry is highlighted", TextMeaning::question},
    Phrase{"press any key to continue", TextMeaning::question},
    Phrase{"press fl to continue", TextMeaning::question},
    Phrase{"strike the fl key", TextMeaning::question},
    Phrase{"memtest", TextMeaning::other_system},
    Phrase{"clk/temp",
           TextMeaning::other_system},  // its name is dark on light, and not always read
    Phrase{"gnu/linux installer", TextMeaning::other_system},
    Phrase{"installer boot menu", TextMeaning::other_system},
    Phrase{"choose the language", TextMeaning::other_system},
    Phrase{"select a language", TextMeaning::other_system},
    Phrase{"select your language", TextMeaning::other_system},
    Phrase{"windows setup", TextMeaning::other_system},
    // Up
    Phrase{"please press enter to activate this console", TextMeaning::login},
    Phrase{"press enter to login", TextMeaning::login},
    Phrase{"press enter to log in", TextMeaning::login},
    Phrase{"enter an option", TextMeaning::login},
    // Graphical logins, in the languages of the product
    Phrase{"not listed?", TextMeaning::login},
    Phrase{"nicht aufgef", TextMeaning::login},
    Phrase{"niet vermeld?", TextMeaning::login},
    Phrase{"niet in de lijst?", TextMeaning::login},
    Phrase{"ikke vist?", TextMeaning::login},
    Phrase{"non elencato?", TextMeaning::login},
    Phrase{"pas dans la liste", TextMeaning::login},
    Phrase{"no está en la lista?", TextMeaning::login},
    Phrase{"no esta en la lista?", TextMeaning::login},
};

// Prompts: the line ends with them.
constexpr std::array<std::string_view, 17> kPrompts{
    "login:",          "anmelden:",     "anmeldung:",   "benutzername:",
    "gebruikersnaam:", "aanmelden:",    "brugernavn:",  "log ind:",
    "nome utente:",    "accesso:",      "identifiant:", "identifiant :",
    "utilisateur:",    "utilisateur :", "usuario:",     "nombre de usuario:",
    "username:"};

// Windows' lock screen. The boot manager asks for the same keys to restart the computer.
constexpr std::array<std::string_view, 6> kSecureKeys{"ctrl+alt+del",   "ctrl-alt-del",
                                                      "strg+alt+entf",  "ctrl+alt+canc",
                                                      "ctrl+alt+suppr", "ctrl+alt+supr"};
constexpr std::array<std::string_view, 9> kRestartWords{"restart",  "reboot",  "neu zu starten",
                                                        "neustart", "reinici", "redemarr",
                                                        "redémarr", "riavvi",  "opnieuw"};

constexpr std::array<std::string_view, 9> kDiskErrors{
    "ext4-fs error",      "ext3-fs error",
    "ext2-fs error",      "remounting filesystem read-only",
    "aborted journal",    "metadata l/o error",
    "metadata i/o error", "btrfs critical",
    "forced readonly"};

constexpr std::array<std::string_view, 7> kComplaints{"[failed]",
                                                      "[depend]",
                                                      "oops:",
                                                      "bug: unable to handle",
                                                      "general protection fault",
                                                      "segfault at",
                                                      "certificate has expired"};

std::string folded(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == '0') c = 'o';
    if (c == '1' || c == '|') c = 'l';
  }
  return result;
}

// "[   12.345678] …": the kernel writes into whatever line there is. Recognition may read the bracket
// as something else, or add a character before it.
bool is_kernel_time(std::string_view text) {
  constexpr size_t kLongest = 20, kFewestDigits = 4;
  size_t end = text.substr(0, kLongest).find(']');
  if (end == std::string_view::npos) return false;
  std::string_view time = text.substr(0, end);
  auto is_digit = [](char c) { return (c >= '0' && c <= '9') || c == 'o' || c == 'l'; };
  auto digits = static_cast<size_t>(std::count_if(time.begin(), time.end(), is_digit));
  size_t others = time.find_first_not_of("0123456789ol .,[");
  bool is_one_other = others == std::string_view::npos || others == 0;
  return digits >= kFewestDigits && time.find_first_of(".,") != std::string_view::npos &&
         is_one_other;
}

// A prompt ends its line, but for what the kernel wrote after it: "Last login: Mon …" and
// "login: root" are not prompts.
bool is_prompt(const std::string& text, size_t end) {
  while (end < text.size() && (text[end] == ' ' || text[end] == '_' || text[end] == '.')) ++end;
  return end >= text.size() || text[end] == '\n' ||
         is_kernel_time(std::string_view(text).substr(end));
}

// "root@web:~#" at the end of a line: somebody is logged in. A shell without a host's name is that
// of a system that did not start.
bool is_shell_prompt(std::string_view line) {
  size_t at = line.rfind("root@");
  if (at == std::string_view::npos || line.find("(none)", at) != std::string_view::npos)
    return false;
  while (!line.empty() && (line.back() == ' ' || line.back() == '_')) line.remove_suffix(1);
  return line.ends_with('#') &&
         std::count(line.begin() + static_cast<ptrdiff_t>(at), line.end(), ' ') <= 1;
}

// A line that is only the prompt of a shell for repairs. Recognition may read its brackets as letters:
// "Cinitramfs) _".
TextMeaning repair_prompt(std::string_view line) {
  constexpr size_t kInitramfs = std::string_view("(initramfs)").size();
  constexpr size_t kRescue = std::string_view("grub rescue>").size();
  while (!line.empty() && (line.back() == ' ' || line.back() == '_')) line.remove_suffix(1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  bool is_initramfs =
      line.find("initramfs") != std::string_view::npos && line.size() <= kInitramfs + 1;
  if (is_initramfs) return TextMeaning::no_root;
  bool is_rescue = line.starts_with("grub rescue") && line.size() <= kRescue + 1;
  bool is_grub = line.starts_with("grub") && line.size() == 5 &&
                 std::isalnum(static_cast<unsigned char>(line.back())) == 0;
  return is_rescue || is_grub ? TextMeaning::boot_loader : TextMeaning::nothing;
}

std::string line_at(std::string_view text, size_t place) {
  size_t begin = text.rfind('\n', place);
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  size_t end = std::min(text.find('\n', place), text.size());
  std::string line = base::trim(text.substr(begin, end - begin));
  if (line.size() > kMaxLine) {
    size_t cut = kMaxLine;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xc0) == 0x80) --cut;
    line.resize(cut);
  }
  return line;
}

}  // namespace

std::string plain_text(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == 0x1b) {  // ESC [ … letter, or ESC and one character
      if (i + 1 < text.size() && text[i + 1] == '[') {
        i += 2;
        while (i < text.size() && (text[i] < '@' || text[i] > '~')) ++i;
      } else {
        ++i;
      }
      continue;
    }
    if (c == '\n' || (c >= ' ' && c != 0x7f)) plain += text[i];
    if (c == '\t') plain += ' ';
  }
  if (base::is_valid_utf8(plain)) return plain;
  for (char& c : plain) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return plain;
}

namespace {

void add_words(std::set<std::string, std::less<>>& words, std::string_view phrase) {
  std::string word;
  for (char c : folded(phrase)) {
    bool is_letter =
        std::isalpha(static_cast<unsigned char>(c)) != 0 || (static_cast<unsigned char>(c) & 0x80);
    if (is_letter) {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.insert(std::move(word));
}

std::set<std::string, std::less<>> phrase_words() {
  std::set<std::string, std::less<>> words;
  for (const Phrase& each : kPhrases) add_words(words, each.words);
  for (std::string_view each : kPrompts) add_words(words, each);
  for (std::string_view each : kSecureKeys) add_words(words, each);
  for (std::string_view each : kRestartWords) add_words(words, each);
  for (std::string_view each : kDiskErrors) add_words(words, each);
  for (std::string_view each : kComplaints) add_words(words, each);
  for (std::string_view each :
       {"root@ (none)", "xfs ( corruption", "i/o error, dev fd sr", "IO-APIC + timer",
        "timer not connected to IO-APIC", "UEFI Interactive Shell"})
    add_words(words, each);
  return words;
}

}  // namespace

bool is_phrase_word(std::string_view word) {
  static const std::set<std::string, std::less<>> words = phrase_words();
  return words.contains(folded(word));
}

std::string without_clock(std::string_view text) {
  std::string rest;
  for (char c : text) {
    bool of_time = (c >= '0' && c <= '9') || c == ':' || c == '.' || c == ' ';
    if (!of_time) rest += c;
  }
  return rest;
}

namespace {

size_t letter_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                           [](unsigned char c) { return std::isalnum(c) != 0; }));
}

template <size_t Count>
bool contains_any(std::string_view text, const std::array<std::string_view, Count>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view each) {
    return text.find(each) != std::string_view::npos;
  });
}

// A floppy or CD drive without a medium says so at each start.
bool is_disk_error(std::string_view line) {
  if (contains_any(line, kDiskErrors)) return true;
  if (line.find("xfs (") != std::string_view::npos &&
      line.find("corruption") != std::string_view::npos)
    return true;
  size_t at = line.find("i/o error, dev ");
  if (at == std::string_view::npos) at = line.find("l/o error, dev ");
  if (at == std::string_view::npos) return false;
  std::string_view device = line.substr(at + std::string_view("i/o error, dev ").size());
  return !device.starts_with("fd") && !device.starts_with("sr");
}

bool is_login(const std::string& compared, size_t begin, std::string_view line) {
  if (contains_any(line, kSecureKeys) && !contains_any(line, kRestartWords)) return true;
  for (std::string_view prompt : kPrompts) {
    for (size_t at = line.find(prompt); at != std::string_view::npos;
         at = line.find(prompt, at + 1)) {
      if (is_prompt(compared, begin + at + prompt.size())) return true;
    }
  }
  return is_shell_prompt(line);
}

// One line after the other, as they were printed.
class Reader {
 public:
  Reader(const std::string& text, const std::string& compared) : text_(text), compared_(compared) {}

  TextReading read() {
    for (size_t begin = 0; begin < compared_.size();) {
      size_t end = std::min(compared_.find('\n', begin), compared_.size());
      take(begin, std::string_view(compared_).substr(begin, end - begin));
      begin = end + 1;
    }
    return reading_;
  }

 private:
  void take(size_t begin, std::string_view line) {
    std::string shown = line_at(text_, begin);
    if (is_disk_error(line) && reading_.disk_error.empty()) reading_.disk_error = shown;
    if (contains_any(line, kComplaints) && reading_.complaints.size() < kMaxComplaints)
      reading_.complaints.push_back(shown);
    TextMeaning meaning = known_meaning(begin, line);
    if (meaning == TextMeaning::nothing) {
      // Of what is known, only a start that was going on is replaced by words that are not.
      if (reading_.meaning > TextMeaning::booting) return;
      if (is_kernel_time(base::trim(line))) meaning = TextMeaning::booting;
      else if (letter_count(line) >= kReadableLetters) meaning = TextMeaning::other;
      else return;
    }
    reading_.meaning = meaning;
    reading_.line = shown;
  }

  TextMeaning known_meaning(size_t begin, std::string_view line) const {
    if (is_login(compared_, begin, line)) return TextMeaning::login;
    TextMeaning found = repair_prompt(line);
    if (found != TextMeaning::nothing) return found;
    size_t last = 0;
    for (const Phrase& phrase : kPhrases) {
      size_t at = line.rfind(phrase.words);
      if (at == std::string_view::npos || (found != TextMeaning::nothing && at < last)) continue;
      last = at;
      found = phrase.meaning;
    }
    return found;
  }

  const std::string& text_;
  const std::string& compared_;
  TextReading reading_;
};

}  // namespace

TextReading read_console(std::string_view raw) {
  std::string text = plain_text(raw);
  std::string compared = folded(text);
  TextReading reading = Reader(text, compared).read();
  // Short lines: enough together to be text.
  if (reading.meaning == TextMeaning::nothing && letter_count(text) >= kReadableLetters) {
    std::string trimmed = base::trim(text);
    reading.meaning = TextMeaning::other;
    reading.line = line_at(trimmed, trimmed.empty() ? 0 : trimmed.size() - 1);
  }
  return reading;
}

}  // namespace appliance::verify
