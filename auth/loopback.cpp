// SPDX-License-Identifier: Apache-2.0
#include "auth/loopback.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace trilby::auth {

bool is_loopback(const std::string& address) {
    if (address.find('\0') != std::string::npos) return false;  // inet_pton would stop reading there
    in_addr v4{};
    if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    in6_addr v6{};
    if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

}  // namespace trilby::auth
