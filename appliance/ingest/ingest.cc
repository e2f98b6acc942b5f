#include "appliance/ingest/ingest.h"

#include "appliance/ingest/agent_session.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::ingest {

void Ingest::serve(base::ByteStream& stream, const catalog::Host& host) {
  sessions_.lock()->emplace(&stream, Session{host.id, ""});
  struct Removal {
    Ingest& ingest;
    base::ByteStream& stream;
    ~Removal() { ingest.sessions_.lock()->erase(&stream); }
  } removal{*this, stream};

  catalog_.touch_host(host.id, "", base::now_ms());
  AgentSession session(*this, stream, host);
  base::log().debug("agent {} ({}) is connected", host.name, stream.peer());
  try {
    images::serve_transfer(stream, session);
  } catch (const base::Error& error) {
    session.on_failure(error);
    throw;
  }
}

void Ingest::begin_machine(base::ByteStream& stream, const std::string& machine) {
  auto sessions = sessions_.lock();
  Session& own = sessions->at(&stream);
  for (auto& [other, session] : *sessions) {
    if (other != &stream && session.host == own.host && session.machine == machine) other->abort();
  }
  own.machine = machine;
}

void Ingest::cut_host(const catalog::HostId& id) {
  auto sessions = sessions_.lock();
  for (auto& [stream, session] : *sessions) {
    if (session.host == id) stream->abort();
  }
}

}  // namespace appliance::ingest
