#include "appliance/verify/console_text.h"

#include <algorithm>
#include <array>
#include <cctype>

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
    Phrase{"loading linux", TextMeaning::booting},
    Phrase{"loading initial ramdisk", TextMeaning::booting},
    Phrase{"decompressing linux", TextMeaning::booting},
    Phrase{"booting the kernel", TextMeaning::booting},
    Phrase{"linux version", TextMeaning::booting},
    Phrase{"starting version", TextMeaning::booting},
    Phrase{"starting windows", TextMeaning::booting},
    Phrase{"systemd[l]", TextMeaning::booting},
    Phrase{"[ ok ]", TextMeaning::booting},
    // Up
    Phrase{"login:", TextMeaning::login},
    Phrase{"press ctrl+alt+delete", TextMeaning::login},
    Phrase{"press ctrl-alt-del", TextMeaning::login},
};

std::string folded(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == '0') c = 'o';
    if (c == '1' || c == '|') c = 'l';
  }
  return result;
}

// A prompt ends its line: "Last login: Mon …" and "login: root" are not prompts.
bool is_prompt(const std::string& text, size_t end) {
  while (end < text.size() && (text[end] == ' ' || text[end] == '_' || text[end] == '.')) ++end;
  return end >= text.size() || text[end] == '\n';
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

TextReading read_console(std::string_view raw) {
  std::string text = plain_text(raw);
  std::string compared = folded(text);
  TextReading reading;
  size_t last = 0;
  for (const Phrase& phrase : kPhrases) {
    for (size_t at = compared.find(phrase.words); at != std::string::npos;
         at = compared.find(phrase.words, at + 1)) {
      if (phrase.words == "login:" && !is_prompt(compared, at + phrase.words.size())) continue;
      if (reading.meaning != TextMeaning::nothing && at < last) continue;
      last = at;
      reading = {phrase.meaning, line_at(text, at)};
    }
  }
  if (reading.meaning != TextMeaning::nothing) return reading;
  auto letters =
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
  if (static_cast<size_t>(letters) >= kReadableLetters) {
    std::string trimmed = base::trim(text);
    reading = {TextMeaning::other, line_at(trimmed, trimmed.empty() ? 0 : trimmed.size() - 1)};
  }
  return reading;
}

}  // namespace appliance::verify
