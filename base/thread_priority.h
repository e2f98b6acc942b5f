// How urgent the work of one thread is.
#pragma once

namespace base {

// From now on the calling thread, and threads that it starts, yield to everything else: nice 15,
// and the disk only when nobody else wants it. Permanent: only root could revert it. What the
// kernel refuses is left as it is.
void lower_thread_priority();

}  // namespace base
