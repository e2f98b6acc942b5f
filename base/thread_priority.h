// How urgent the work of one thread is.
#pragma once

namespace base {

// The calling thread, and threads that it starts, give way to everything else from now on: nice 15,
// and the disk when nobody else wants it. For good: only root could take it back.
// What the kernel refuses is left as it is.
void lower_thread_priority();

}  // namespace base
