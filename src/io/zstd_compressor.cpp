// SPDX-License-Identifier: BSL-1.0
#include "io/zstd_compressor.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include <exception>
#include <mutex>
#include <new>
#include <utility>

namespace everpool::io {

namespace {

constexpr int level = 1;
constexpr std::size_t idle_contexts_max = 2;

/// Contexts that nobody uses now. A thread-local one would stay with every thread of the host that
/// ever committed a large record.
template <class Context, Context* (*make)(), std::size_t (*destroy)(Context*)>
class IdleContexts {
public:
    struct Destroy {
        void operator()(Context* context) const noexcept { destroy(context); }
    };
    using Owned = std::unique_ptr<Context, Destroy>;

    IdleContexts() { idle_.reserve(idle_contexts_max); }

    /// Null: out of memory.
    Owned take() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Owned context = std::move(idle_.back());
                idle_.pop_back();
                return context;
            }
        }
        return Owned(make());
    }

    void give_back(Owned context) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < idle_contexts_max) idle_.push_back(std::move(context));
    }

private:
    std::mutex mutex_;
    std::vector<Owned> idle_;
};

/// Makes `out` longer by `bytes`; false: there is no memory for it.
bool try_grow(std::vector<std::byte>& out, std::size_t bytes) {
    try {
        out.resize(out.size() + bytes);
    } catch (const std::exception&) { // bad_alloc, length_error
        return false;
    }
    return true;
}

} // namespace

struct ZstdCompressor::Contexts {
    IdleContexts<ZSTD_CCtx, &ZSTD_createCCtx, &ZSTD_freeCCtx> compressing;
    IdleContexts<ZSTD_DCtx, &ZSTD_createDCtx, &ZSTD_freeDCtx> decompressing;
};

ZstdCompressor::ZstdCompressor() : contexts_(std::make_unique<Contexts>()) {}
ZstdCompressor::~ZstdCompressor() = default;

bool ZstdCompressor::compress(std::span<const std::byte> raw, std::vector<std::byte>& out) const {
    auto context = contexts_->compressing.take();
    const std::size_t before = out.size();
    const std::size_t bound = ZSTD_compressBound(raw.size());
    if (!context || ZSTD_isError(bound) || !try_grow(out, bound)) return false;
    const std::size_t bytes =
        ZSTD_compressCCtx(context.get(), out.data() + before, bound, raw.data(), raw.size(), level);
    contexts_->compressing.give_back(std::move(context));
    out.resize(before + (ZSTD_isError(bytes) ? 0 : bytes));
    return !ZSTD_isError(bytes);
}

bool ZstdCompressor::decompress(std::span<const std::byte> frame, std::size_t raw_bytes,
                                std::vector<std::byte>& out) const {
    // Exactly one frame, that says the same of itself as the log does: asked before any memory is
    // taken for it. The caller has bounded raw_bytes.
    if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size() ||
        ZSTD_getFrameContentSize(frame.data(), frame.size()) != raw_bytes)
        return false;
    auto context = contexts_->decompressing.take();
    const std::size_t before = out.size();
    if (!context || !try_grow(out, raw_bytes)) throw std::bad_alloc();
    const std::size_t bytes = ZSTD_decompressDCtx(context.get(), out.data() + before, raw_bytes,
                                                  frame.data(), frame.size());
    contexts_->decompressing.give_back(std::move(context));
    if (bytes == raw_bytes) return true; // an error is a number far above any size
    out.resize(before);
    if (ZSTD_isError(bytes) && ZSTD_getErrorCode(bytes) == ZSTD_error_memory_allocation)
        throw std::bad_alloc();
    return false;
}

} // namespace everpool::io
