// The libFuzzer programs over fuzz_targets.h and, built with MULETTO_FUZZ_APPLIANCE, over
// appliance_targets.h (cmake --preset fuzz). The environment chooses:
//   MULETTO_FUZZ_TARGET=name    which decoder; without it the first byte of the input does
//   MULETTO_FUZZ_SAMPLES=DIR    write the target's samples there first: a corpus to begin with
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>

#ifdef MULETTO_FUZZ_APPLIANCE
#include "tests/fuzz/appliance_targets.h"
#else
#include "tests/fuzz/fuzz_targets.h"
#endif

namespace {

std::vector<images::FuzzTarget>& targets() {
#ifdef MULETTO_FUZZ_APPLIANCE
  static std::vector<images::FuzzTarget> all = tests::appliance_targets();
#else
  static std::vector<images::FuzzTarget> all = images::fuzz_targets();
#endif
  return all;
}

const images::FuzzTarget* chosen = nullptr;

void write_samples(const std::string& directory) {
  for (size_t i = 0; chosen != nullptr && i < chosen->samples.size(); ++i) {
    std::ofstream out(directory + "/" + chosen->name + "-" + std::to_string(i), std::ios::binary);
    const auto& bytes = chosen->samples[i];
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("MULETTO_FUZZ_TARGET");
  for (const auto& target : targets()) {
    if (name != nullptr && target.name == name) chosen = &target;
  }
  if (name != nullptr && chosen == nullptr) {
    std::cerr << "there is no fuzz target '" << name << "'; there are:";
    for (const auto& target : targets()) std::cerr << ' ' << target.name;
    std::cerr << "\n";
    std::exit(2);
  }
  if (const char* directory = std::getenv("MULETTO_FUZZ_SAMPLES")) write_samples(directory);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  base::ByteView bytes(data, size);
  if (chosen != nullptr) {
    chosen->run(bytes);
  } else if (!bytes.empty()) {
    targets()[bytes[0] % targets().size()].run(bytes.subspan(1));
  }
  return 0;
}
