// Finds out by trial whether KVM can run a guest here. A device file says little: inside another
// VM, KVM may exist and run guests so slowly that they seem to hang. Functions are thread-safe.
#pragma once

#include <string>

#include "appliance/boot/model/instant_vm.h"

namespace appliance::boot {

struct AcceleratorVerdict {
  Accelerator accelerator = Accelerator::tcg;  // kvm or tcg
  std::string reason;                          // a sentence
};

// Boots a 512-byte disk under KVM: SeaBIOS, timer interrupts, long mode with paging, and a loop of
// 100 million instructions. KVM is usable if that ends within 4 s; where it works it takes 0.3 s.
// Never throws: any failure becomes the reason for TCG.
AcceleratorVerdict try_kvm(const std::string& scratch_directory);

// `wanted` itself, or for automatic the result of the trial. The result is kept in a file in
// `run_directory` as long as the appliance is up and has the same QEMU.
AcceleratorVerdict choose_accelerator(Accelerator wanted, const std::string& run_directory);

}  // namespace appliance::boot
