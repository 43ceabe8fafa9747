// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// RabbitMQ prints Erlang terms in some reply texts, and clients' tests compare them.

namespace trilby::protocol {

/// <<"abc">> when every byte is printable ASCII or has an escape, <<0,5,97>> otherwise, <<>> when empty.
std::string erlang_binary(std::string_view bytes);

/// Always by number: <<0,5,97>>.
std::string erlang_octets(std::string_view bytes);

}  // namespace trilby::protocol
