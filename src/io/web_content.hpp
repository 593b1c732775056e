// Everpool doors: what the bridge serves, by name.
// SPDX-License-Identifier: BSL-1.0
//
// Nothing that a client writes ever becomes a file name: paths are keys of tables, and what is not
// in the table does not exist. So there is nothing to normalise, to decode or to escape from.
#pragma once

#include "io/embedded_files.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace everpool::io {

/// A file of the host's, read anew for each request.
struct RegisteredFile {
    std::filesystem::path path;
    std::string_view mime;
};

class WebContent {
public:
    void add_model(std::string_view name, std::filesystem::path file);
    void add_module(std::string_view name, std::filesystem::path file);

    /// Relative to the worker page. Whatever is not [A-Za-z0-9._~-] in the name is percent-encoded.
    [[nodiscard]] static std::string model_path(std::string_view name);
    [[nodiscard]] static std::string module_path(std::string_view name);

    /// The same for all workers: "/everpool/page.js", "/ort/...". Null if there is none.
    [[nodiscard]] const EmbeddedFile* shared_file(std::string_view url_path) const noexcept;
    /// worker.html. Null only in a library that was built without it.
    [[nodiscard]] const EmbeddedFile* worker_page() const noexcept;
    /// What lies under a worker's page: "models/mlp". Null if there is none.
    [[nodiscard]] const RegisteredFile* registered_file(std::string_view path) const noexcept;

private:
    std::map<std::string, RegisteredFile, std::less<>> registered_;
};

} // namespace everpool::io
