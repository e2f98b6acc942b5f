// From a request that was read to its answer: who sends it, whether he may now, and what is noted of
// it. Runs on the handlers' threads. Private to the server.
#pragma once

#include <string>
#include <string_view>

#include "appliance/api/http/connection.h"

namespace appliance::api {

// A route's answer, and the principal it is for; empty: anonymous or refused.
struct RoutedResponse {
  Response response;
  std::string principal;
};

// Blocking work: SQLite, the store, libvirt. `address` is the peer's, without a port. Throws nothing.
RoutedResponse answer(ConnectionServices& services, const PeerFacts& peer,
                      const std::string& address, const RequestProof& proof, Request request);

Response too_often();

// What a connection's slot calls the principal: an id where there is one, since names of hosts are
// unique only within a tenant and a user has several sessions.
std::string key_of(const Principal& principal);

// Without the query, which may hold a ticket.
std::string_view path_of(std::string_view target);

}  // namespace appliance::api
