// SPDX-License-Identifier: BSL-1.0
#include "io/web_content.hpp"

#include <algorithm>
#include <utility>

namespace everpool::io {
namespace {

bool is_unreserved(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '~' || c == '-';
}

std::string percent_encoded(std::string_view name) {
    static constexpr char digits[] = "0123456789ABCDEF";
    // A browser takes these two for steps in the tree, encoded or not, and never sends them.
    const bool is_step = name == "." || name == "..";
    std::string out;
    for (const char c : name) {
        if (is_unreserved(c)) {
            out += c;
            continue;
        }
        const auto value = static_cast<unsigned char>(c);
        out += {'%', digits[value >> 4], digits[value & 15]};
    }
    return is_step ? "_" + out : out;
}

} // namespace

std::string WebContent::model_path(std::string_view name) {
    return "models/" + percent_encoded(name);
}

std::string WebContent::module_path(std::string_view name) {
    return "modules/" + percent_encoded(name) + ".js";
}

void WebContent::add_model(std::string_view name, std::filesystem::path file) {
    registered_[model_path(name)] = {std::move(file), "application/octet-stream"};
}

void WebContent::add_module(std::string_view name, std::filesystem::path file) {
    registered_[module_path(name)] = {std::move(file), "text/javascript"};
}

const EmbeddedFile* WebContent::shared_file(std::string_view url_path) const noexcept {
    const auto files = embedded_files();
    const auto at = std::ranges::lower_bound(files, url_path, {}, &EmbeddedFile::url_path);
    return at != files.end() && at->url_path == url_path ? &*at : nullptr;
}

const EmbeddedFile* WebContent::worker_page() const noexcept {
    return shared_file("/everpool/worker.html");
}

const RegisteredFile* WebContent::registered_file(std::string_view path) const noexcept {
    const auto at = registered_.find(path);
    return at == registered_.end() ? nullptr : &at->second;
}

} // namespace everpool::io
