// Answers without an end: each piece is sent as soon as there is one. A client that does not take a
// piece within the server's timeout is dropped, and so is one whose credentials no longer count;
// nothing is queued for either. Functions are thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace appliance::api {

class Takeover;

// The calls are made one at a time, on threads that may block, and should take milliseconds: other
// requests wait for the same threads. What they throw cuts the connection, so that the client sees
// that the answer is incomplete.
struct LiveBody {
  std::string content_type;
  // What is new since the last call, at most some 100 KiB; empty: nothing yet. None: the answer has
  // ended. Called four times a second, and at once after each piece.
  std::function<std::optional<std::string>()> take;
  // Sent after 15 s without a piece, so that each side notices when the other is gone. Not empty.
  std::function<std::string()> sign_of_life;
};

// For Response::takeover.
std::shared_ptr<Takeover> make_live_answer(LiveBody body);

// The same over a WebSocket: each line of a piece is a text message, without its line feed. The
// client is pinged every 15 s, and dropped if it says nothing for a minute. What it sends is not
// read, beyond 4 KiB it is dropped. At the end of the pieces the reason is `end_reason`.
std::shared_ptr<Takeover> make_live_socket(LiveBody body, std::string end_reason);

}  // namespace appliance::api
