#include "images/wire/client_greeting.h"

#include <fmt/format.h>

#include "base/error.h"

namespace images {

using base::Error;
using base::ErrorCode;

Frame expect_frame(FrameChannel& channel, wire::FrameType type) {
  std::optional<Frame> frame = channel.next();
  const std::string& peer = channel.stream().peer();
  if (!frame) throw Error(ErrorCode::unavailable, peer + " ended the connection");
  if (frame->type == wire::FrameType::error)
    throw wire::decode_error(frame->payload).with_context(peer);
  if (frame->type != type) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} sent a frame of type {} where one of type {} belongs", peer,
                            static_cast<int>(frame->type), static_cast<int>(type)));
  }
  return *frame;
}

uint16_t greet(FrameChannel& channel, const wire::Versions& versions) {
  channel.write(wire::encode(
      wire::Hello{versions.oldest, versions.newest, "muletto-agent " MULETTO_VERSION}));
  wire::Welcome welcome =
      wire::decode_welcome(expect_frame(channel, wire::FrameType::welcome).payload);
  if (welcome.version < versions.oldest || welcome.version > versions.newest) {
    throw Error(ErrorCode::unsupported, fmt::format("{} wants version {} of the transfer protocol",
                                                    channel.stream().peer(), welcome.version));
  }
  return welcome.version;
}

}  // namespace images
