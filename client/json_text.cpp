// SPDX-License-Identifier: Apache-2.0
#include "client/json_text.hpp"

#include <iterator>

#include <fmt/format.h>

namespace trilby::client {

Palette Palette::for_terminal(bool terminal) {
    if (!terminal) return {};
    return {.name = "\033[36m",
            .text = "\033[32m",
            .number = "\033[33m",
            .heading = "\033[1m",
            .faint = "\033[2m",
            .plain = "\033[0m"};
}

namespace {

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// U+0080 to U+009F: some terminals obey them like escape sequences.
bool is_c1_control(std::string_view text, std::size_t at) {
    return text[at] == '\xc2' && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (is_c1_control(text, at)) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(text[++at]));
            continue;
        }
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (is_control(c))
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
                else
                    out.push_back(c);
        }
    }
    out.push_back('"');
}

namespace {

class Printer {
  public:
    Printer(std::string& out, const Palette& palette) : out_(out), palette_(palette) {}

    void value(simdjson::dom::element value, std::size_t indent) {
        using enum simdjson::dom::element_type;
        switch (value.type()) {
            case OBJECT: object(value.get_object().value_unsafe(), indent); break;
            case ARRAY: array(value.get_array().value_unsafe(), indent); break;
            case STRING:
                coloured(palette_.text, [&] { append_json_string(out_, value.get_string().value_unsafe()); });
                break;
            default: coloured(palette_.number, [&] { out_ += simdjson::minify(value); });
        }
    }

  private:
    template <class Write>
    void coloured(std::string_view colour, Write write) {
        out_ += colour;
        write();
        if (!colour.empty()) out_ += palette_.plain;
    }

    void new_line(std::size_t indent) { out_.append(1, '\n').append(indent, ' '); }

    void object(simdjson::dom::object fields, std::size_t indent) {
        if (fields.size() == 0) {
            out_ += "{}";
            return;
        }
        std::string_view separator = "{";
        for (const auto& [name, field] : fields) {
            out_ += separator;
            separator = ",";
            new_line(indent + 2);
            coloured(palette_.name, [&, key = name] { append_json_string(out_, key); });
            out_ += ": ";
            value(field, indent + 2);
        }
        new_line(indent);
        out_.push_back('}');
    }

    void array(simdjson::dom::array items, std::size_t indent) {
        if (items.size() == 0) {
            out_ += "[]";
            return;
        }
        std::string_view separator = "[";
        for (const auto item : items) {
            out_ += separator;
            separator = ",";
            new_line(indent + 2);
            value(item, indent + 2);
        }
        new_line(indent);
        out_.push_back(']');
    }

    std::string& out_;
    const Palette& palette_;
};

}  // namespace

void append_readable_json(std::string& out, simdjson::dom::element value, std::size_t indent,
                          const Palette& palette) {
    Printer(out, palette).value(value, indent);
}

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const bool layout = text[at] == '\n' || text[at] == '\t';
        if (is_c1_control(text, at))
            ++at, out.push_back('?');
        else
            out.push_back(is_control(text[at]) && !layout ? '?' : text[at]);
    }
    return out;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        unsigned group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            out.push_back(i <= count ? digits[group >> (18 - 6 * i) & 63] : '=');
    }
    return out;
}

}  // namespace trilby::client
