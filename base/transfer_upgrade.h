// How an HTTP connection of the API switches to the transfer protocol (docs/protocol.md):
// GET one of these paths with "Upgrade: kTransferProtocol". The client asks for it, and the HTTP
// layer hands the connection over without knowing the protocol. Constants; thread-safe.
#pragma once

namespace base {

constexpr const char* kTransferPath = "/api/v1/transfer";  // of hosts
constexpr const char* kImportPath = "/api/v1/imports";     // of operators; ?tenant=
// Of whoever restores without an agent: reads one point; ?point= and ?tenant=
constexpr const char* kFetchPath = "/api/v1/fetch";
constexpr const char* kTransferProtocol = "muletto-transfer";

}  // namespace base
