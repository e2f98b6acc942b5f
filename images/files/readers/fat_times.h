// Times of FAT and exFAT. Pure function.
#pragma once

#include <algorithm>
#include <ctime>

#include "images/files/node.h"

namespace images::files {

// `hundredths` are added: 0 to 199. Nothing known (1970) for a date of zero.
inline FileTime time_of_fat(uint16_t date, uint16_t time, uint8_t hundredths) {
  if (date == 0) return {};
  std::tm parts{};
  parts.tm_year = 80 + (date >> 9);
  parts.tm_mon = std::max((date >> 5 & 15) - 1, 0);
  parts.tm_mday = date & 31;
  parts.tm_hour = time >> 11;
  parts.tm_min = time >> 5 & 63;
  parts.tm_sec = (time & 31) * 2 + hundredths / 100;
  return {static_cast<int64_t>(::timegm(&parts)),
          static_cast<uint32_t>(hundredths % 100) * 10'000'000};
}

}  // namespace images::files
