#include "images/store/place/objects/lease_renewal.h"

namespace images {

// An exception would mean that a renewal is missed: the thread begins again a second later.
LeaseRenewal::LeaseRenewal(ObjectPlace& place, std::chrono::milliseconds interval)
    : thread_("leases", base::AfterFailure::begin_again,
              [&place, interval](const std::stop_token& stop) {
                do place.renew();
                while (base::sleep_unless_stopped(stop, interval));
              }) {}

}  // namespace images
