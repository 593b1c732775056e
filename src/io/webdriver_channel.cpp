// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_channel.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace everpool::io {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr std::uint32_t header_bytes_max = 16 * 1024;
constexpr std::chrono::seconds farewell_time{2};

std::string host_header(const browser::WebDriverEndpoint& endpoint) {
    const bool is_v6 = endpoint.host.find(':') != std::string::npos;
    return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
           std::to_string(endpoint.port);
}

http::request<http::string_body> request_to(const browser::WebDriverEndpoint& endpoint,
                                            const char* verb, const std::string& target,
                                            std::string body) {
    http::request<http::string_body> out;
    out.method(http::string_to_verb(verb));
    out.target(endpoint.path + target);
    out.version(11);
    out.set(http::field::host, host_header(endpoint));
    out.set(http::field::accept, "application/json");
    if (out.method() == http::verb::post)
        out.set(http::field::content_type, "application/json; charset=utf-8");
    out.body() = std::move(body);
    out.prepare_payload();
    return out;
}

/// An address needs no resolver, which would start a thread.
std::optional<tcp::endpoint> numeric_address(const browser::WebDriverEndpoint& endpoint) {
    error_code ec;
    const auto address = asio::ip::make_address(endpoint.host, ec);
    return ec ? std::nullopt : std::optional(tcp::endpoint(address, endpoint.port));
}

/// Our code for what a socket or Beast's parser says.
Errc meaning_of(error_code ec) {
    if (ec == http::error::body_limit || ec == http::error::header_limit)
        return Errc::message_too_large;
    static const boost::system::error_category& parsing =
        make_error_code(http::error::bad_version).category();
    const bool is_cut = ec == http::error::end_of_stream || ec == http::error::partial_message;
    return ec.category() == parsing && !is_cut ? Errc::protocol_error : Errc::worker_lost;
}

class BeastChannel final : public WebDriverChannel,
                           public std::enable_shared_from_this<BeastChannel> {
public:
    BeastChannel(asio::any_io_executor strand, browser::WebDriverEndpoint endpoint,
                 WebDriverLimits limits)
        : strand_(strand),
          endpoint_(std::move(endpoint)),
          limits_(limits),
          resolver_(strand),
          timer_(strand) {}

    void send(Request request, Handler handler) override {
        if (is_closed_ || waiting_.size() >= limits_.queue_count_max) {
            const Errc code = is_closed_ ? Errc::worker_lost : Errc::queue_full;
            const char* why = is_closed_ ? "cannot be sent any more" : "finds too many before it";
            return asio::post(strand_,
                              [self = shared_from_this(), code, why = diagnostics_of(request, why),
                               handler = std::move(handler)] {
                                  if (!self->is_forgotten_) handler(code, why, {});
                              });
        }
        waiting_.push_back({std::move(request), std::move(handler)});
        if (waiting_.size() == 1) begin();
    }

    void drop_unsent(error_code cause) override {
        const std::size_t kept = is_sent_ && !waiting_.empty() ? 1 : 0;
        if (kept == 0 && !waiting_.empty()) { // still connecting for it
            timer_.cancel();
            ++request_number_;
            drop_connection();
        }
        const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(kept);
        for (auto one = first; one != waiting_.end(); ++one)
            asio::post(strand_, [self = shared_from_this(), one = std::move(*one), cause] {
                self->tell_cut_off(one, cause);
            });
        waiting_.erase(first, waiting_.end());
    }

    void close(error_code cause) override {
        is_closed_ = true;
        timer_.cancel();
        drop_connection();
        std::deque<Waiting> cut_off;
        cut_off.swap(waiting_);
        const auto self = shared_from_this();
        for (Waiting& one : cut_off) {
            const bool is_late = &one == &cut_off.front() && std::exchange(is_late_, false);
            if (!is_late) tell_cut_off(one, cause);
            else if (!is_forgotten_) one.request.late({});
        }
    }

    void forget() noexcept override {
        is_forgotten_ = is_closed_ = true;
        is_late_ = false;
        timer_.cancel();
        drop_connection();
        waiting_.clear();
    }

    bool awaits_late_answer() const noexcept override { return is_late_; }
    bool has_sent() const noexcept override { return is_sent_ && !waiting_.empty(); }

    bool try_send_last(const char* verb, const std::string& target) noexcept override {
        if (!connection_ || !waiting_.empty()) return false;
        try {
            auto& socket = connection_->socket;
            error_code ec;
            socket.non_blocking(true, ec);
            // One that the driver has closed meanwhile takes the request, and loses it.
            char byte = 0;
            if (!ec) socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, ec);
            if (ec != asio::error::would_block) return false;
            ec = {};
            http::write(socket, request_to(endpoint_, verb, target, {}), ec);
            return !ec;
        } catch (const std::exception&) {
            return false; // no memory
        }
    }

    void send_last(const char* verb, const std::string& target) noexcept override {
        const auto address = address_ ? address_ : numeric_address(endpoint_);
        if (!address) return; // nobody was ever reached, so there is nothing of ours
        try {
            asio::io_context context; // the strand's own may not run any more
            tcp::socket socket(context);
            const auto request = request_to(endpoint_, verb, target, {});
            socket.async_connect(*address, [&](error_code ec) {
                if (!ec) http::async_write(socket, request, [](error_code, std::size_t) {});
            });
            context.run_for(farewell_time);
        } catch (const std::exception&) {
            // No memory, no descriptors: the session ends by the driver's own rules.
        }
    }

private:
    struct Waiting {
        Request request;
        Handler handler;
    };
    /// Belongs to the operations on it as well: one that was closed may still be ending.
    struct Connection {
        explicit Connection(const asio::any_io_executor& strand) : socket(strand) {}
        tcp::socket socket;
        boost::beast::flat_buffer buffer;
        http::request<http::string_body> outgoing;
        std::optional<http::response_parser<http::string_body>> parser;
        bool has_answered{false};
    };

    void tell_cut_off(const Waiting& one, error_code cause) const {
        if (is_forgotten_) return;
        Diagnostics why = diagnostics_of(one.request, "was cut off");
        why.last_cause = cause;
        one.handler(Errc::worker_lost, std::move(why), {});
    }
    Diagnostics diagnostics_of(const Request& request, const char* why) const {
        Diagnostics out;
        out.message = std::string("the WebDriver command ") + request.verb + ' ' + endpoint_.path +
                      request.target + " to " + host_header(endpoint_) + ' ' + why;
        return out;
    }

    /// Calls `next` if the connection is still the one in use.
    template <class Next>
    auto on_this_connection(Next next) {
        return [weak = weak_from_this(), connection = connection_,
                next = std::move(next)](error_code ec, auto&&... results) {
            const auto self = weak.lock();
            if (self && self->connection_ == connection) next(*self, ec, results...);
        };
    }

    void begin() {
        has_retried_ = is_sent_ = false;
        limit(waiting_.front().request.timeout);
        if (connection_) write();
        else connect();
    }

    void limit(std::chrono::milliseconds time) {
        timer_.expires_after(time);
        timer_.async_wait([weak = weak_from_this(), number = ++request_number_](error_code ec) {
            const auto self = weak.lock();
            if (self && !ec && !self->is_closed_ && self->request_number_ == number)
                self->on_timeout();
        });
    }

    void on_timeout() {
        const char* const why = "was not answered in time";
        Waiting& one = waiting_.front();
        if (!one.request.late || !is_sent_ || is_late_)
            return fail(Errc::worker_unresponsive, {}, why);
        is_late_ = true;
        limit(limits_.patience);
        Diagnostics diagnostics = diagnostics_of(one.request, why);
        diagnostics.last_cause = Errc::worker_unresponsive;
        const auto self = shared_from_this(); // the handler may drop us
        const Handler handler = std::exchange(one.handler, {});
        handler(Errc::worker_unresponsive, std::move(diagnostics), {});
    }

    void connect() {
        connection_ = std::make_shared<Connection>(strand_);
        const auto connected = on_this_connection([](BeastChannel& self, error_code ec, auto&&...) {
            if (ec) return self.fail(Errc::worker_lost, ec, "finds nobody there");
            error_code failed;
            self.connection_->socket.set_option(tcp::no_delay(true), failed);
            if (const auto address = self.connection_->socket.remote_endpoint(failed); !failed)
                self.address_ = address;
            self.write();
        });
        if (const auto address = numeric_address(endpoint_))
            return connection_->socket.async_connect(*address, connected);
        resolver_.async_resolve(
            endpoint_.host, std::to_string(endpoint_.port),
            on_this_connection([connected](BeastChannel& self, error_code ec, auto&& found) {
                if (ec) return self.fail(Errc::worker_lost, ec, "finds no such host");
                asio::async_connect(self.connection_->socket, found, connected);
            }));
    }

    void write() {
        const Request& request = waiting_.front().request;
        Connection& to = *connection_;
        to.outgoing = request_to(endpoint_, request.verb, request.target, request.body);
        to.parser.reset();
        is_sent_ = true;
        http::async_write(to.socket, to.outgoing,
                          on_this_connection([](BeastChannel& self, error_code ec, std::size_t) {
                              if (ec) return self.on_broken(ec);
                              self.read();
                          }));
    }

    void read() {
        Connection& from = *connection_;
        from.parser.emplace();
        from.parser->header_limit(header_bytes_max);
        from.parser->body_limit(limits_.answer_bytes_max);
        http::async_read(from.socket, from.buffer, *from.parser,
                         on_this_connection([](BeastChannel& self, error_code ec, std::size_t) {
                             if (ec) return self.on_broken(ec);
                             self.finish();
                         }));
    }

    /// A connection that was kept may have been closed by the driver before our request reached it.
    /// One on which an answer has begun, or that is new, tells of trouble.
    void on_broken(error_code ec) {
        const bool has_begun = connection_->parser && connection_->parser->got_some();
        const bool is_stale = connection_->has_answered && !has_begun;
        if (is_stale && !is_late_ && !std::exchange(has_retried_, true)) {
            drop_connection();
            is_sent_ = false;
            return connect();
        }
        const Errc code = meaning_of(ec);
        fail(code, ec,
             code == Errc::message_too_large ? "got a larger answer than is allowed"
             : code == Errc::protocol_error  ? "got an answer that is no HTTP"
                                             : "was cut off");
    }

    void finish() {
        auto& message = connection_->parser->get();
        Answer answer{message.result_int(), std::move(message.body())};
        connection_->has_answered = true;
        if (!message.keep_alive()) drop_connection();
        complete({}, {}, std::move(answer));
    }

    void fail(Errc code, error_code cause, const char* why) {
        drop_connection();
        Diagnostics diagnostics = diagnostics_of(waiting_.front().request, why);
        diagnostics.last_cause = cause ? cause : make_error_code(code);
        complete(code, std::move(diagnostics), {});
    }

    void complete(error_code ec, Diagnostics diagnostics, Answer answer) {
        timer_.cancel();
        ++request_number_;
        const auto self = shared_from_this(); // the handler may drop us
        const Waiting done = std::move(waiting_.front());
        waiting_.pop_front();
        const bool was_late = std::exchange(is_late_, false);
        if (!waiting_.empty()) begin();
        if (was_late) done.request.late(std::move(answer));
        else done.handler(ec, std::move(diagnostics), std::move(answer));
    }

    void drop_connection() noexcept {
        const auto connection = std::exchange(connection_, nullptr);
        if (!connection) return;
        error_code ignored;
        connection->socket.close(ignored);
        resolver_.cancel();
    }

    asio::any_io_executor strand_;
    browser::WebDriverEndpoint endpoint_;
    WebDriverLimits limits_;
    tcp::resolver resolver_;
    std::optional<tcp::endpoint> address_;   ///< that was connected to last
    asio::steady_timer timer_;               ///< of the request under way
    std::shared_ptr<Connection> connection_; ///< null: none yet, or none any more
    std::deque<Waiting> waiting_;            ///< the first one is under way
    std::uint64_t request_number_{0};
    bool has_retried_{false};
    bool is_sent_{false}; ///< the first one; it may have arrived
    bool is_late_{false}; ///< the first one; its handler has been called
    bool is_closed_{false}, is_forgotten_{false};
};

} // namespace

std::shared_ptr<WebDriverChannel> WebDriverChannel::make(asio::any_io_executor strand,
                                                         browser::WebDriverEndpoint endpoint,
                                                         WebDriverLimits limits) {
    return std::make_shared<BeastChannel>(std::move(strand), std::move(endpoint), limits);
}

} // namespace everpool::io
