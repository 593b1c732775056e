// Everpool doors: a file as the body of an answer, read from disk while it is sent.
// SPDX-License-Identifier: BSL-1.0
//
// Beast has such a body, but with pieces of 4 KiB, which can only be changed by a macro that the
// host application's own sources may have set differently. Models have hundreds of MiB.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/file_posix.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace everpool::io {

struct HttpFileBody {
    struct value_type {
        boost::beast::file_posix file;
        std::uint64_t bytes{
            0}; ///< as announced; a file that has shrunk meanwhile ends the connection
    };

    static std::uint64_t size(const value_type& body) noexcept { return body.bytes; }

    class writer {
    public:
        using const_buffers_type = boost::asio::const_buffer;

        template <bool is_request, class Fields>
        writer(boost::beast::http::header<is_request, Fields>&, value_type& body) noexcept
            : body_(&body), bytes_left_(body.bytes) {}

        void init(boost::system::error_code& ec) noexcept { ec = {}; }

        boost::optional<std::pair<const_buffers_type, bool>> get(boost::system::error_code& ec) {
            const auto wanted = std::min<std::uint64_t>(bytes_left_, piece_.size());
            if (wanted == 0) {
                ec = {};
                return boost::none;
            }
            const std::size_t got = body_->file.read(piece_.data(), wanted, ec);
            if (!ec && got == 0) ec = boost::beast::http::error::short_read;
            if (ec) return boost::none;
            bytes_left_ -= got;
            return {{const_buffers_type(piece_.data(), got), bytes_left_ != 0}};
        }

    private:
        value_type* body_;
        std::uint64_t bytes_left_;
        std::array<char, 64 * 1024> piece_;
    };
};

} // namespace everpool::io
