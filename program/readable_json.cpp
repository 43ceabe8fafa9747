// SPDX-License-Identifier: Apache-2.0
#include "program/readable_json.hpp"

#include "json/text.hpp"

namespace trilby::client {

Palette Palette::of(bool coloured) {
    if (!coloured) return {};
    return {.name = "\033[36m",
            .text = "\033[32m",
            .number = "\033[33m",
            .heading = "\033[1m",
            .faint = "\033[2m",
            .plain = "\033[0m"};
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
                coloured(palette_.text,
                         [&] { json::append_string(out_, value.get_string().value_unsafe()); });
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
            coloured(palette_.name, [&, key = name] { json::append_string(out_, key); });
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

}  // namespace trilby::client
