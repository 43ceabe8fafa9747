// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/password_hash.hpp"
#include "auth/pattern.hpp"

namespace trilby::auth {

enum class Operation { configure, write, read };

/// Lets a map of strings be asked with a view, without a copy of the name.
struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
template <class Value>
using ByName = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

/// A row of topic permissions: one user, virtual host and topic exchange. The texts are as they were set, the
/// patterns have {username} and {vhost} replaced.
struct TopicPermission {
    std::string write_text, read_text;
    Pattern write, read;

    bool allows(Operation operation, std::string_view key) const;  // configure: always
};

/// A row of permissions: one user and virtual host. Its existence is the right to open the virtual host.
struct Permission {
    Pattern configure, write, read;

    bool allows(Operation operation, std::string_view resource) const;
};

struct User {
    std::string name;
    PasswordHash password;
    std::vector<std::string> tags;
    ByName<Permission> permissions;                     // by virtual host
    ByName<ByName<TopicPermission>> topic_permissions;  // by virtual host, then exchange

    bool has_tag(std::string_view tag) const;
};

/// Who exists and who may do what. Built by one thread, then published as shared_ptr<const Access> and
/// changed no more: a change is made on a copy. A copy shares every user, so it costs one pointer and one
/// name for each. Whether a virtual host or an exchange exists is not known here.
///
/// The checks allocate nothing. A connection that checks each publish keeps the `Permission` of its user and
/// virtual host together with the published Access that it came from.
class Access {
  public:
    // Changes. The error of a set_… is a sentence that names the user and, for a bad pattern, which one it
    // is.

    /// Adds the user or replaces password and tags; permissions stay.
    void set_user(std::string_view name, PasswordHash password, std::vector<std::string> tags);
    bool delete_user(std::string_view name);  // and all permissions; false: there was no such user

    std::expected<void, std::string> set_permission(std::string_view user, std::string_view vhost,
                                                    std::string_view configure, std::string_view write,
                                                    std::string_view read);
    bool clear_permission(std::string_view user, std::string_view vhost);

    std::expected<void, std::string> set_topic_permission(std::string_view user, std::string_view vhost,
                                                          std::string_view exchange, std::string_view write,
                                                          std::string_view read);
    bool clear_topic_permission(std::string_view user, std::string_view vhost, std::string_view exchange);
    bool clear_topic_permissions(std::string_view user, std::string_view vhost);  // of all exchanges

    /// The virtual host is gone, and with it every permission in it.
    void clear_vhost(std::string_view vhost);

    // Queries.

    const User* find_user(std::string_view name) const;
    const Permission* find_permission(std::string_view user, std::string_view vhost) const;

    /// False for an unknown user, a wrong password, an empty hash and a blank password alike.
    bool login(std::string_view user, std::string_view password) const;

    bool may_open(std::string_view user, std::string_view vhost) const;

    /// The default exchange is asked for as "amq.default".
    bool allowed(std::string_view user, std::string_view vhost, Operation operation,
                 std::string_view resource) const;

    /// Asked for topic exchanges after `allowed`. Without a row for the exchange every key is allowed; an
    /// unknown user is allowed nothing.
    bool topic_allowed(std::string_view user, std::string_view vhost, std::string_view exchange,
                       Operation operation, std::string_view key) const;

    std::size_t user_count() const { return users_.size(); }

    /// F(const User&), in no particular order.
    template <class F>
    void each_user(F&& f) const {
        for (const auto& [name, user] : users_) f(*user);
    }

  private:
    User* edit(std::string_view name);

    ByName<std::shared_ptr<const User>>
        users_;  // never null; shared with other copies, so edited only as a copy
};

}  // namespace trilby::auth
