// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace trilby::bench {

struct WorkloadBinding {
    std::string queue;
    std::string key;        // of a topic binding
    std::string arguments;  // of a headers binding: raw field table
};

struct WorkloadMessage {
    std::string key;
    std::string headers;  // raw field table
};

struct Workload {
    std::vector<WorkloadBinding> bindings;
    std::vector<WorkloadMessage> messages;
};

/// Lines of `pattern TAB queue`, and one key a line. The error is a sentence that names file and line.
std::expected<Workload, std::string> read_topic_workload(const std::string& bindings_file,
                                                         const std::string& keys_file);
/// JSON lines of {"queue": …, "arguments": {…}}, and JSON lines of header tables.
std::expected<Workload, std::string> read_headers_workload(const std::string& bindings_file,
                                                           const std::string& keys_file);

}  // namespace trilby::bench
