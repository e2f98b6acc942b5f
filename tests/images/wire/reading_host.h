// For tests of sessions that read: a host that gives one point of a store to whoever has the ticket.
#pragma once

#include <atomic>

#include "images/store/store_reader.h"
#include "tests/images/wire/transfer_pair.h"

namespace images {

class ReadingHost : public TestHost {
 public:
  StoreReader* store = nullptr;
  PointId point;
  wire::Ticket ticket{base::random_array<wire::kTicketSize>()};
  bool tells_definition = false;
  std::optional<PointId> base;
  std::atomic<int> opened = 0;

  std::unique_ptr<OpenedPoint> open_point(const wire::Ticket& shown) override {
    if (!(shown == ticket)) return TransferHost::open_point(shown);
    ++opened;
    auto made = std::make_unique<OpenedPoint>();
    made->point = store->read_point(point);
    made->tells_definition = tells_definition;
    made->hasher = store->hasher();
    for (const PointDisk& disk : made->point.disks)
      made->disks.push_back(store->open_disk(point, disk.name));
    if (base) {
      made->base = base;
      for (const PointDisk& disk : made->point.disks)
        made->base_disks.push_back(store->open_disk(*base, disk.name));
    }
    return made;
  }
};

}  // namespace images
