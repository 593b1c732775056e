// Simulator of power cuts: planted bugs. A directory that leaves out what a ledger has to do, as if
// the ledger had forgotten it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_files.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::simulation {

enum class Sabotage : std::uint8_t {
    none,
    no_directory_sync,  ///< names are never made durable
    no_segment_sync,    ///< records are not made durable
    no_seal,            ///< only the first sync of a segment happens: header, and no more
    no_checkpoint_sync, ///< the manifest speaks of checkpoints that are not durable
    no_manifest_sync,   ///< renamed before its bytes are durable
    manifest_in_place,  ///< written over the old one
    removes_too_early,  ///< a segment that was just begun takes the one before it along
};

constexpr std::string_view name_of(Sabotage sabotage) noexcept {
    switch (sabotage) {
    case Sabotage::none: return "none";
    case Sabotage::no_directory_sync: return "no sync of the directory";
    case Sabotage::no_segment_sync: return "no sync of segments";
    case Sabotage::no_seal: return "only the first sync of a segment";
    case Sabotage::no_checkpoint_sync: return "no sync of checkpoints";
    case Sabotage::no_manifest_sync: return "no sync of the manifest";
    case Sabotage::manifest_in_place: return "the manifest is written in place";
    case Sabotage::removes_too_early: return "segments are removed too early";
    }
    return "unrecognised";
}

class SabotagedDirectory final : public log::Directory {
public:
    SabotagedDirectory(log::Directory& directory, Sabotage sabotage)
        : directory_(directory), sabotage_(sabotage) {}

    error_code open(std::string_view name, log::OpenMode mode,
                    std::unique_ptr<log::File>& file) override {
        std::unique_ptr<log::File> inner;
        if (error_code ec = open_inner(name, mode, inner)) return ec;
        file = std::make_unique<SabotagedFile>(std::move(inner), syncs_of(name));
        return {};
    }
    error_code list(std::vector<std::string>& names) override { return directory_.list(names); }
    error_code rename(std::string_view from, std::string_view to) override {
        if (sabotage_ == Sabotage::manifest_in_place && to == log::detail::manifest_name) return {};
        return directory_.rename(from, to);
    }
    error_code remove(std::string_view name) override {
        if (sabotage_ == Sabotage::manifest_in_place && name == log::detail::manifest_draft_name)
            return {};
        return directory_.remove(name);
    }
    error_code sync() override {
        return sabotage_ == Sabotage::no_directory_sync ? error_code{} : directory_.sync();
    }

private:
    static constexpr std::uint64_t all = UINT64_MAX;

    class SabotagedFile final : public log::File {
    public:
        SabotagedFile(std::unique_ptr<log::File> file, std::uint64_t syncs)
            : file_(std::move(file)), syncs_(syncs) {}
        error_code write(std::uint64_t offset, std::span<const std::byte> bytes) override {
            return file_->write(offset, bytes);
        }
        error_code read(std::uint64_t offset, std::span<std::byte> bytes,
                        std::size_t& count) override {
            return file_->read(offset, bytes, count);
        }
        error_code sync() override {
            if (syncs_ == 0) return {};
            --syncs_;
            return file_->sync();
        }
        error_code allocate(std::uint64_t bytes) override { return file_->allocate(bytes); }
        error_code size(std::uint64_t& bytes) override { return file_->size(bytes); }

    private:
        std::unique_ptr<log::File> file_;
        std::uint64_t syncs_; ///< that really happen
    };

    error_code open_inner(std::string_view name, log::OpenMode mode,
                          std::unique_ptr<log::File>& file) {
        if (sabotage_ == Sabotage::manifest_in_place && name == log::detail::manifest_draft_name) {
            const error_code ec =
                directory_.open(log::detail::manifest_name, log::OpenMode::write, file);
            if (!ec) return file->allocate(0);
            return directory_.open(log::detail::manifest_name, mode, file);
        }
        const error_code ec = directory_.open(name, mode, file);
        const auto index = log::segment_index_of(name);
        if (sabotage_ == Sabotage::removes_too_early && !ec && mode == log::OpenMode::create &&
            index && *index > 1)
            (void)directory_.remove(log::segment_name(*index - 1));
        return ec;
    }

    [[nodiscard]] std::uint64_t syncs_of(std::string_view name) const noexcept {
        const bool is_segment = log::segment_index_of(name).has_value();
        if (is_segment && sabotage_ == Sabotage::no_segment_sync) return 0;
        if (is_segment && sabotage_ == Sabotage::no_seal) return 1;
        if (log::parse_checkpoint_name(name) && sabotage_ == Sabotage::no_checkpoint_sync) return 0;
        if (name == log::detail::manifest_draft_name && sabotage_ == Sabotage::no_manifest_sync)
            return 0;
        return all;
    }

    log::Directory& directory_;
    const Sabotage sabotage_;
};

} // namespace everpool::simulation
