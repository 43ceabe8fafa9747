// SPDX-License-Identifier: Apache-2.0
#include "auth/access.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace trilby::auth {
namespace {

/// Replaced literally: a user name with regular expression characters in it is read as such, as in RabbitMQ.
/// One pass, so that a user called "{vhost}" is nothing special.
std::string replace_variables(std::string_view text, std::string_view user, std::string_view vhost) {
    constexpr std::string_view username_variable = "{username}", vhost_variable = "{vhost}";
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        if (text.starts_with(username_variable)) {
            result += user;
            text.remove_prefix(username_variable.size());
        } else if (text.starts_with(vhost_variable)) {
            result += vhost;
            text.remove_prefix(vhost_variable.size());
        } else {
            result += text.front();
            text.remove_prefix(1);
        }
    }
    return result;
}

template <class Value>
bool erase(ByName<Value>& map, std::string_view name) {
    const auto found = map.find(name);
    if (found == map.end()) return false;
    map.erase(found);
    return true;
}

std::unexpected<std::string> no_user(std::string_view name) {
    return std::unexpected(fmt::format("there is no user '{}'", name));
}

std::unexpected<std::string> bad_pattern(std::string_view which, std::string_view user,
                                         std::string_view vhost, std::string_view reason) {
    return std::unexpected(
        fmt::format("{} permission of user '{}' in vhost '{}': {}", which, user, vhost, reason));
}

}  // namespace

bool Permission::allows(Operation operation, std::string_view resource) const {
    switch (operation) {
        case Operation::configure: return configure.matches(resource);
        case Operation::write: return write.matches(resource);
        case Operation::read: return read.matches(resource);
    }
    return false;
}

bool TopicPermission::allows(Operation operation, std::string_view key) const {
    switch (operation) {
        case Operation::configure: return true;
        case Operation::write: return write.matches(key);
        case Operation::read: return read.matches(key);
    }
    return false;
}

bool User::has_tag(std::string_view tag) const {
    return std::ranges::find(tags, tag) != tags.end();
}

/// A private copy of the user, put in the place of the shared one; none: there is no such user.
User* Access::edit(std::string_view name) {
    const auto found = users_.find(name);
    if (found == users_.end()) return nullptr;
    auto copy = std::make_shared<User>(*found->second);
    User* user = copy.get();
    found->second = std::move(copy);
    return user;
}

void Access::set_user(std::string_view name, PasswordHash password, std::vector<std::string> tags) {
    User* user = edit(name);
    if (user == nullptr) {
        auto added = std::make_shared<User>();
        user = added.get();
        user->name = name;
        users_.emplace(name, std::move(added));
    }
    user->password = std::move(password);
    user->tags = std::move(tags);
}

bool Access::delete_user(std::string_view name) {
    return erase(users_, name);
}

std::expected<void, std::string> Access::set_permission(std::string_view user, std::string_view vhost,
                                                        std::string_view configure, std::string_view write,
                                                        std::string_view read) {
    if (find_user(user) == nullptr) return no_user(user);
    auto configure_pattern = Pattern::compile(configure);
    if (!configure_pattern) return bad_pattern("configure", user, vhost, configure_pattern.error());
    auto write_pattern = Pattern::compile(write);
    if (!write_pattern) return bad_pattern("write", user, vhost, write_pattern.error());
    auto read_pattern = Pattern::compile(read);
    if (!read_pattern) return bad_pattern("read", user, vhost, read_pattern.error());
    edit(user)->permissions.insert_or_assign(
        std::string{vhost},
        Permission{std::move(*configure_pattern), std::move(*write_pattern), std::move(*read_pattern)});
    return {};
}

bool Access::clear_permission(std::string_view user, std::string_view vhost) {
    if (find_permission(user, vhost) == nullptr) return false;
    return erase(edit(user)->permissions, vhost);
}

std::expected<void, std::string> Access::set_topic_permission(std::string_view user, std::string_view vhost,
                                                              std::string_view exchange,
                                                              std::string_view write, std::string_view read) {
    if (find_user(user) == nullptr) return no_user(user);
    auto write_pattern = Pattern::compile(replace_variables(write, user, vhost));
    if (!write_pattern) {
        return bad_pattern(fmt::format("topic write (exchange '{}')", exchange), user, vhost,
                           write_pattern.error());
    }
    auto read_pattern = Pattern::compile(replace_variables(read, user, vhost));
    if (!read_pattern) {
        return bad_pattern(fmt::format("topic read (exchange '{}')", exchange), user, vhost,
                           read_pattern.error());
    }
    edit(user)->topic_permissions[std::string{vhost}].insert_or_assign(
        std::string{exchange}, TopicPermission{std::string{write}, std::string{read},
                                               std::move(*write_pattern), std::move(*read_pattern)});
    return {};
}

bool Access::clear_topic_permission(std::string_view user, std::string_view vhost,
                                    std::string_view exchange) {
    const User* current = find_user(user);
    if (current == nullptr) return false;
    const auto rows = current->topic_permissions.find(vhost);
    if (rows == current->topic_permissions.end() || !rows->second.contains(exchange)) return false;
    auto& changed = edit(user)->topic_permissions;
    const auto changed_rows = changed.find(vhost);
    erase(changed_rows->second, exchange);
    if (changed_rows->second.empty()) changed.erase(changed_rows);
    return true;
}

bool Access::clear_topic_permissions(std::string_view user, std::string_view vhost) {
    const User* current = find_user(user);
    if (current == nullptr || !current->topic_permissions.contains(vhost)) return false;
    return erase(edit(user)->topic_permissions, vhost);
}

void Access::clear_vhost(std::string_view vhost) {
    for (auto& [name, user] : users_) {
        if (!user->permissions.contains(vhost) && !user->topic_permissions.contains(vhost)) continue;
        auto copy = std::make_shared<User>(*user);
        erase(copy->permissions, vhost);
        erase(copy->topic_permissions, vhost);
        user = std::move(copy);
    }
}

const User* Access::find_user(std::string_view name) const {
    const auto found = users_.find(name);
    return found == users_.end() ? nullptr : found->second.get();
}

const Permission* Access::find_permission(std::string_view user, std::string_view vhost) const {
    const User* found = find_user(user);
    if (found == nullptr) return nullptr;
    const auto permission = found->permissions.find(vhost);
    return permission == found->permissions.end() ? nullptr : &permission->second;
}

bool Access::login(std::string_view user, std::string_view password) const {
    if (password.empty()) return false;
    const User* found = find_user(user);
    return found != nullptr && found->password.matches(password);
}

bool Access::may_open(std::string_view user, std::string_view vhost) const {
    return find_permission(user, vhost) != nullptr;
}

bool Access::allowed(std::string_view user, std::string_view vhost, Operation operation,
                     std::string_view resource) const {
    const Permission* permission = find_permission(user, vhost);
    return permission != nullptr && permission->allows(operation, resource);
}

bool Access::topic_allowed(std::string_view user, std::string_view vhost, std::string_view exchange,
                           Operation operation, std::string_view key) const {
    const User* found = find_user(user);
    if (found == nullptr) return false;
    const auto rows = found->topic_permissions.find(vhost);
    if (rows == found->topic_permissions.end()) return true;
    const auto row = rows->second.find(exchange);
    return row == rows->second.end() || row->second.allows(operation, key);
}

}  // namespace trilby::auth
