// SPDX-License-Identifier: BSL-1.0
#include "io/http_session.hpp"

#include "io/http_file_body.hpp"
#include "io/http_upgrade_request.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/optional.hpp>

#include <sys/stat.h>

#include <utility>

namespace everpool::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

/// An answer without a file: its status and the sentence that says why.
struct PlainAnswer {
    http::status status;
    std::string_view text;
};

PlainAnswer plain_answer(HttpRefusal refusal) noexcept {
    switch (refusal) {
    case HttpRefusal::none: break;
    case HttpRefusal::version:
        return {http::status::http_version_not_supported, "HTTP/1.1 is spoken here.\n"};
    case HttpRefusal::host:
        return {http::status::misdirected_request, "This server has another name.\n"};
    case HttpRefusal::method:
        return {http::status::method_not_allowed, "Only GET and HEAD are served.\n"};
    case HttpRefusal::target:
        return {http::status::bad_request, "The request's target must be an absolute path.\n"};
    case HttpRefusal::token:
        return {http::status::forbidden, "No worker has this token (any more).\n"};
    case HttpRefusal::origin:
        return {http::status::forbidden, "Pages of another origin may not connect.\n"};
    case HttpRefusal::subprotocol:
        return {http::status::bad_request, "The subprotocol must be everpool.v1.\n"};
    case HttpRefusal::upgrade_required:
        return {http::status::upgrade_required, "This path is a WebSocket.\n"};
    case HttpRefusal::not_found: return {http::status::not_found, "There is nothing here.\n"};
    }
    return {http::status::internal_server_error, "\n"};
}

std::string_view view(beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// Does If-None-Match name this tag? (Weak comparison, as RFC 9110 asks for here.)
bool matches(std::string_view if_none_match, std::string_view etag) noexcept {
    return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

class BeastHttpSession final : public HttpSession,
                               public std::enable_shared_from_this<BeastHttpSession> {
public:
    BeastHttpSession(asio::ip::tcp::socket socket, std::shared_ptr<HttpSessionOwner> owner)
        : stream_(std::move(socket)),
          buffer_(owner->config().request_header_bytes_max),
          owner_(std::move(owner)) {
        error_code ignored;
        stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    }

    void read_request() {
        parser_.emplace();
        parser_->header_limit(owner_->config().request_header_bytes_max);
        parser_->body_limit(0);
        stream_.expires_after(owner_->config().request_timeout);
        http::async_read(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code ec, std::size_t) { self->on_request(ec); });
    }

    void abort() noexcept override { stream_.close(); }

private:
    using Parser = http::request_parser<http::empty_body>;

    void on_request(error_code ec);
    void on_request_failed(error_code ec);
    void refuse_malformed(PlainAnswer answer);
    [[nodiscard]] HttpRequestFacts facts() const;
    void upgrade(const HttpVerdict& verdict);
    void answer_embedded(const EmbeddedFile* file, std::string_view cache_control);
    void answer_registered(const RegisteredFile* file);
    void answer_plain(PlainAnswer answer, bool is_last = false);
    [[nodiscard]] bool is_head() const { return parser_->get().method() == http::verb::head; }

    template <class Fields>
    void set_common_fields(http::response_header<Fields>& header) const;
    /// Answers 304, or the header alone, or all of it.
    template <class Body>
    void answer_file(http::response<Body> response, std::uint64_t bytes, std::string_view etag,
                     std::string_view mime, std::string_view cache_control);
    template <class Body>
    void write(http::response<Body> response);
    template <class Answer>
    void write_some(std::shared_ptr<Answer> answer);
    void on_written(error_code ec, bool keep_alive);
    void drain();
    void end();

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    boost::optional<Parser> parser_;
    std::shared_ptr<HttpSessionOwner> owner_;
};

HttpRequestFacts BeastHttpSession::facts() const {
    const auto& request = parser_->get();
    HttpRequestFacts facts;
    facts.target = view(request.target());
    facts.host = view(request[http::field::host]);
    facts.names_host_once = request.count(http::field::host) == 1;
    facts.is_http_1_1 = request.version() == 11;
    facts.origin = view(request[http::field::origin]);
    if (request.count(http::field::origin) > 1) facts.origin = {};
    facts.subprotocols = view(request[http::field::sec_websocket_protocol]);
    facts.is_get = request.method() == http::verb::get;
    facts.is_head = request.method() == http::verb::head;
    facts.is_upgrade = beast::websocket::is_upgrade(request);
    return facts;
}

void BeastHttpSession::on_request(error_code ec) {
    if (ec) return on_request_failed(ec);
    const HttpVerdict verdict = owner_->judge(facts());
    if (verdict.refusal != HttpRefusal::none) return answer_plain(plain_answer(verdict.refusal));
    switch (verdict.route) {
    case HttpRoute::socket: return upgrade(verdict);
    case HttpRoute::shared_file:
        // Stored, but asked for again each time: after an update of the library the path is the
        // same.
        return answer_embedded(owner_->content().shared_file(verdict.path), "no-cache");
    case HttpRoute::worker_page:
        return answer_embedded(owner_->content().worker_page(), "no-store");
    case HttpRoute::worker_file:
        return answer_registered(owner_->content().registered_file(verdict.path));
    }
}

void BeastHttpSession::on_request_failed(error_code ec) {
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return refuse_malformed({http::status::request_header_fields_too_large, "Too long.\n"});
    if (ec == http::error::body_limit || ec == http::error::unexpected_body)
        return refuse_malformed({http::status::payload_too_large, "A request has no body here.\n"});
    const bool has_begun = parser_->got_some();
    const bool is_cut_off = ec == http::error::end_of_stream || ec == http::error::partial_message;
    if (ec.category() == http::make_error_code(http::error::end_of_stream).category() &&
        !is_cut_off)
        return refuse_malformed({http::status::bad_request, "This is not HTTP.\n"});
    // Between two requests a client may go, or stay silent until its time is up.
    if (has_begun && (is_cut_off || ec == beast::error::timeout))
        owner_->on_http_fault(HttpFault::unfinished);
    end();
}

void BeastHttpSession::refuse_malformed(PlainAnswer answer) {
    owner_->on_http_fault(HttpFault::malformed);
    parser_.emplace(); // what was read of it is of no use: not even the method is certain
    answer_plain(answer, true);
}

void BeastHttpSession::upgrade(const HttpVerdict& verdict) {
    // A client that goes on before the handshake is answered is no browser, and Beast could not be
    // given what it has sent.
    if (buffer_.size() != 0) return refuse_malformed({http::status::bad_request, "Too early.\n"});
    stream_.expires_never();
    const std::shared_ptr<HttpSessionOwner> owner = std::move(owner_);
    // The verdict's path points into the message and is of no use any more.
    const UpgradeRequest request{parser_->release()};
    owner->on_http_upgrade(stream_.release_socket(), request, verdict);
}

void BeastHttpSession::answer_embedded(const EmbeddedFile* file, std::string_view cache_control) {
    if (file == nullptr) return answer_plain(plain_answer(HttpRefusal::not_found));
    http::response<http::span_body<const char>> response;
    response.body() = {reinterpret_cast<const char*>(file->bytes.data()), file->bytes.size()};
    answer_file(std::move(response), file->bytes.size(), file->etag, file->mime, cache_control);
}

void BeastHttpSession::answer_registered(const RegisteredFile* file) {
    if (file == nullptr) return answer_plain(plain_answer(HttpRefusal::not_found));
    http::response<HttpFileBody> response;
    error_code ec;
    struct stat status {};
    response.body().file.open(file->path.c_str(), beast::file_mode::scan, ec);
    const bool is_regular = !ec && ::fstat(response.body().file.native_handle(), &status) == 0 &&
                            S_ISREG(status.st_mode);
    if (!is_regular)
        return answer_plain({http::status::not_found, "The registered file cannot be read.\n"});
    response.body().bytes = static_cast<std::uint64_t>(status.st_size);
    // Not the content's hash, which would mean to read it twice, but whatever changes with it.
    std::string etag = "\"" + std::to_string(status.st_ino) + "-" + std::to_string(status.st_size);
    etag +=
        "-" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
    etag += "\"";
    const std::uint64_t bytes = response.body().bytes;
    answer_file(std::move(response), bytes, etag, file->mime, "no-cache");
}

void BeastHttpSession::answer_plain(PlainAnswer answer, bool is_last) {
    http::response<http::string_body> response;
    response.result(answer.status);
    set_common_fields(response);
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    response.set(http::field::cache_control, "no-store");
    if (answer.status == http::status::method_not_allowed)
        response.set(http::field::allow, "GET, HEAD");
    if (answer.status == http::status::upgrade_required)
        response.set(http::field::upgrade, "websocket");
    response.keep_alive(!is_last && parser_->get().keep_alive());
    response.content_length(answer.text.size());
    if (!is_head()) response.body() = answer.text;
    write(std::move(response));
}

template <class Fields>
void BeastHttpSession::set_common_fields(http::response_header<Fields>& header) const {
    header.version(11);
    // Isolation: threads of WebAssembly need it, and no foreign page may hold a handle on ours.
    header.set("Cross-Origin-Opener-Policy", "same-origin");
    header.set("Cross-Origin-Embedder-Policy", "require-corp");
    header.set("Cross-Origin-Resource-Policy", "same-origin");
    header.set("Content-Security-Policy", owner_->security_policy());
    header.set("Referrer-Policy", "no-referrer"); // the page's URL contains the token
    header.set("X-Content-Type-Options", "nosniff");
}

template <class Body>
void BeastHttpSession::answer_file(http::response<Body> response, std::uint64_t bytes,
                                   std::string_view etag, std::string_view mime,
                                   std::string_view cache_control) {
    const auto& request = parser_->get();
    const bool is_known = request.count(http::field::if_none_match) != 0 &&
                          matches(view(request[http::field::if_none_match]), etag);
    const auto fill = [&](auto& answer) {
        set_common_fields(answer);
        answer.set(http::field::etag, etag);
        answer.set(http::field::cache_control, cache_control);
        answer.keep_alive(request.keep_alive());
    };
    if (is_known) {
        http::response<http::empty_body> not_modified;
        not_modified.result(http::status::not_modified);
        fill(not_modified);
        return write(std::move(not_modified));
    }
    if (is_head()) {
        http::response<http::empty_body> head;
        fill(head);
        head.set(http::field::content_type, mime);
        head.content_length(bytes);
        return write(std::move(head));
    }
    fill(response);
    response.set(http::field::content_type, mime);
    response.content_length(bytes);
    write(std::move(response));
}

template <class Body>
void BeastHttpSession::write(http::response<Body> response) {
    struct Answer {
        explicit Answer(http::response<Body> what)
            : message(std::move(what)), serializer(message) {}
        http::response<Body> message;
        http::response_serializer<Body> serializer;
    };
    write_some(std::make_shared<Answer>(std::move(response)));
}

template <class Answer>
void BeastHttpSession::write_some(std::shared_ptr<Answer> answer) {
    // The limit is on each step: a large model may take long, but never stand still.
    stream_.expires_after(owner_->config().request_timeout);
    auto& serializer = answer->serializer;
    http::async_write_some(stream_, serializer,
                           [self = shared_from_this(),
                            answer = std::move(answer)](error_code ec, std::size_t) mutable {
                               if (!ec && !answer->serializer.is_done())
                                   return self->write_some(std::move(answer));
                               self->on_written(ec, answer->message.keep_alive());
                           });
}

void BeastHttpSession::on_written(error_code ec, bool keep_alive) {
    if (ec) return end();
    if (keep_alive) return read_request();
    // To close with bytes unread would reset the connection, and the client might never see why.
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ec);
    stream_.expires_after(owner_->config().close_timeout);
    drain();
}

void BeastHttpSession::drain() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(buffer_.max_size()),
                            [self = shared_from_this()](error_code ec, std::size_t) {
                                if (ec) return self->end();
                                self->drain();
                            });
}

void BeastHttpSession::end() {
    stream_.close();
    const std::shared_ptr<HttpSessionOwner> owner = std::move(owner_);
    owner->on_http_closed();
}

} // namespace

std::shared_ptr<HttpSession> start_http_session(asio::ip::tcp::socket socket,
                                                std::shared_ptr<HttpSessionOwner> owner) {
    auto session = std::make_shared<BeastHttpSession>(std::move(socket), std::move(owner));
    session->read_request();
    return session;
}

} // namespace everpool::io
