// How every client of the transfer protocol begins. Private to the clients. Not thread-safe.
#pragma once

#include "images/wire/frame_channel.h"

namespace images {

// The next frame, which must be of this type; an ERROR becomes an exception.
Frame expect_frame(FrameChannel& channel, wire::FrameType type);

// HELLO and WELCOME. Returns the version that is spoken. Throws unsupported without a common one.
uint16_t greet(FrameChannel& channel, const wire::Versions& versions);

}  // namespace images
