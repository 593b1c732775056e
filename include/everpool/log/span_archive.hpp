// Everpool log: cereal archives for the bodies of records: into a vector, out of a span.
// SPDX-License-Identifier: BSL-1.0
//
//     SpanOutputArchive out(bytes);          SpanInputArchive in(bytes);
//     out(record_version, name, values);     in(record_version, name, values);
//     out.flush();                           if (in.has_failed() || !in.is_at_end()) ...
//
// cereal's own binary archives write to streams, in the machine's byte order, and throw. These do
// neither, because what they read may have been damaged or written by somebody else:
//   * Reading never throws: past the end, and for anything impossible, the archive has failed,
//     gives zeros and empty lists, and stays so.
//   * A size is compared with the bytes that are left before anything is allocated, and lists grow
//     as they are read: memory follows the input, whatever that says of itself. By which factor,
//     depends on what a list is of (load_list() bounds that).
//   * The bytes are the same everywhere: unsigned integers and sizes in groups of 7 bits, signed
//     ones and times as they are, both from the lowest byte; a bool is 0 or 1.
// They have no version of their own: a record's body begins with its version, and the archive hands
// that to those who ask (version()).
#pragma once

#include <cereal/cereal.hpp>

#include <bit>
#include <cassert>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace everpool::log {

static_assert(std::endian::native == std::endian::little, "integers are copied as they are");

/// Of an integer of 64 bits in groups of 7.
inline constexpr std::size_t count_bytes_max = 10;

class SpanOutputArchive
    : public cereal::OutputArchive<SpanOutputArchive, cereal::AllowEmptyClassElision> {
public:
    /// Appends to `out`; all of it is there after flush(). \pre `out` outlives it and is not
    /// touched before flush() was called
    explicit SpanOutputArchive(std::vector<std::byte>& out, std::uint32_t version = 0)
        : OutputArchive(this), out_(out), version_(version) {}
    /// Does not flush: there may be no memory for that, and a destructor cannot say so.
    ~SpanOutputArchive() noexcept override {
        assert(used_ == 0 || std::uncaught_exceptions() != 0);
    }
    SpanOutputArchive(const SpanOutputArchive&) = delete;
    SpanOutputArchive& operator=(const SpanOutputArchive&) = delete;

    [[nodiscard]] std::uint32_t version() const noexcept { return version_; }

    void write(const void* bytes, std::size_t count) {
        if (count > sizeof buffer_ - used_) return write_past_buffer(bytes, count);
        if (count == 0) return; // memcpy wants an address even then
        std::memcpy(buffer_ + used_, bytes, count);
        used_ += count;
    }
    void write_count(std::uint64_t value) {
        if (sizeof buffer_ - used_ < count_bytes_max) flush();
        for (; value >= 0x80; value >>= 7) buffer_[used_++] = static_cast<std::byte>(value | 0x80);
        buffer_[used_++] = static_cast<std::byte>(value);
    }
    void flush() {
        out_.insert(out_.end(), buffer_, buffer_ + used_);
        used_ = 0;
    }

private:
    void write_past_buffer(const void* bytes, std::size_t count) {
        flush();
        if (count <= sizeof buffer_) return write(bytes, count);
        const auto* const first = static_cast<const std::byte*>(bytes);
        out_.insert(out_.end(), first, first + count);
    }

    std::vector<std::byte>& out_;
    std::uint32_t version_;
    std::size_t used_{0};
    // Members of a record are a few bytes each: gathered, they are a tenth of the calls.
    std::byte buffer_[512];
};

class SpanInputArchive
    : public cereal::InputArchive<SpanInputArchive, cereal::AllowEmptyClassElision> {
public:
    /// \pre the bytes outlive it
    explicit SpanInputArchive(std::span<const std::byte> bytes)
        : InputArchive(this), rest_(bytes) {}
    SpanInputArchive(const SpanInputArchive&) = delete;
    SpanInputArchive& operator=(const SpanInputArchive&) = delete;
    ~SpanInputArchive() noexcept override = default;

    /// Of the record that is being read: set once it is known.
    void set_version(std::uint32_t version) noexcept { version_ = version; }
    [[nodiscard]] std::uint32_t version() const noexcept { return version_; }

    void fail() noexcept {
        has_failed_ = true;
        rest_ = {};
    }
    [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
    [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty(); }

    /// The next bytes; fewer than `count`, namely none, once it has failed.
    [[nodiscard]] std::span<const std::byte> take(std::size_t count) noexcept {
        if (count > rest_.size()) {
            fail();
            return {};
        }
        const auto taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    [[nodiscard]] std::uint64_t read_count() noexcept {
        if (!rest_.empty() && rest_[0] < std::byte{0x80}) // by far the commonest
            return std::to_integer<std::uint64_t>(take(1)[0]);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < rest_.size() && i < count_bytes_max; ++i) {
            const auto bits = std::to_integer<std::uint64_t>(rest_[i]);
            if (i + 1 == count_bytes_max && bits > 1) break;
            value |= (bits & 0x7f) << (7 * i);
            if (bits >= 0x80) continue;
            rest_ = rest_.subspan(i + 1);
            return value;
        }
        fail();
        return 0;
    }
    /// Of a list or text: each of its elements takes a byte at least.
    [[nodiscard]] std::size_t read_size() noexcept {
        const std::uint64_t size = read_count();
        if (size <= rest_.size()) return static_cast<std::size_t>(size);
        fail();
        return 0;
    }

private:
    std::span<const std::byte> rest_;
    std::uint32_t version_{0};
    bool has_failed_{false};
};

// --- how values are written: found by cereal -----------------------------------------------------

template <class T>
concept Groups = std::unsigned_integral<T> &&(sizeof(T) > 1);

template <class T>
requires std::is_arithmetic_v<T>
void save(SpanOutputArchive& archive, const T& value) {
    static_assert(!std::floating_point<T>, "no records with rounding");
    if constexpr (Groups<T>) archive.write_count(value);
    else archive.write(&value, sizeof value);
}

template <class T>
requires std::is_arithmetic_v<T>
void load(SpanInputArchive& archive, T& value) {
    if constexpr (Groups<T>) {
        const std::uint64_t count = archive.read_count();
        value = static_cast<T>(count);
        if (value != count) archive.fail();
    } else if constexpr (std::same_as<T, bool>) {
        std::uint8_t byte = 0;
        load(archive, byte);
        value = byte == 1;
        if (byte > 1) archive.fail();
    } else {
        value = 0;
        if (const auto bytes = archive.take(sizeof value); !bytes.empty())
            std::memcpy(&value, bytes.data(), sizeof value);
    }
}

template <class Count, class Period>
void save(SpanOutputArchive& archive, const std::chrono::duration<Count, Period>& value) {
    archive(value.count());
}

template <class Count, class Period>
void load(SpanInputArchive& archive, std::chrono::duration<Count, Period>& value) {
    Count count{};
    archive(count);
    value = std::chrono::duration<Count, Period>(count);
}

template <class Clock, class Length>
void save(SpanOutputArchive& archive, const std::chrono::time_point<Clock, Length>& value) {
    archive(value.time_since_epoch());
}

template <class Clock, class Length>
void load(SpanInputArchive& archive, std::chrono::time_point<Clock, Length>& value) {
    Length length{};
    archive(length);
    value = std::chrono::time_point<Clock, Length>(length);
}

inline void save(SpanOutputArchive& archive, const std::string& text) {
    archive.write_count(text.size());
    archive.write(text.data(), text.size());
}

inline void load(SpanInputArchive& archive, std::string& text) {
    const auto bytes = archive.take(archive.read_size());
    text.clear();
    if (!bytes.empty()) text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <class T>
void save(SpanOutputArchive& archive, const std::vector<T>& list) {
    archive.write_count(list.size());
    for (const T& element : list) archive(element);
}

/// A list of more than `count_max` is refused before any of it is read: where an element takes far
/// more memory than its bytes, they alone are no bound.
template <class T>
void load_list(SpanInputArchive& archive, std::vector<T>& list, std::size_t count_max) {
    list.clear();
    const std::size_t count = archive.read_size();
    if (count > count_max) return archive.fail();
    for (std::size_t left = count; left > 0 && !archive.has_failed(); --left)
        archive(list.emplace_back());
}

template <class T>
void load(SpanInputArchive& archive, std::vector<T>& list) {
    load_list(archive, list, SIZE_MAX);
}

template <class T>
void save(SpanOutputArchive& archive, const std::optional<T>& value) {
    archive(value.has_value());
    if (value) archive(*value);
}

template <class T>
void load(SpanInputArchive& archive, std::optional<T>& value) {
    bool has_value = false;
    archive(has_value);
    if (has_value) archive(value.emplace());
    else value.reset();
}

template <class Name, class Value>
void save(SpanOutputArchive& archive, const std::map<Name, Value>& map) {
    archive.write_count(map.size());
    for (const auto& [name, value] : map) archive(name, value);
}

/// In ascending order, each name once: one map is written in one way only.
template <class Name, class Value>
void load(SpanInputArchive& archive, std::map<Name, Value>& map) {
    map.clear();
    for (std::size_t left = archive.read_size(); left > 0 && !archive.has_failed(); --left) {
        std::pair<Name, Value> entry{};
        archive(entry.first, entry.second);
        if (!map.empty() && !(map.rbegin()->first < entry.first)) archive.fail();
        else map.emplace_hint(map.end(), std::move(entry));
    }
}

} // namespace everpool::log

CEREAL_SETUP_ARCHIVE_TRAITS(everpool::log::SpanInputArchive, everpool::log::SpanOutputArchive)
