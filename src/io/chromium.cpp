// SPDX-License-Identifier: BSL-1.0
#include "io/chromium.hpp"

#include "everpool/browser/chromium_flags.hpp"
#include "io/engine_processes.hpp"
#include "io/json_text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace everpool::io {

namespace json = boost::json;

namespace {

/// Events are small; an answer that grows beyond this is not one that we asked for.
constexpr std::size_t message_bytes_max = std::size_t{16} << 20;

void warn_of_missing_sandbox_once() {
    static std::atomic_flag warned = ATOMIC_FLAG_INIT;
    if (warned.test_and_set()) return;
    std::fputs("everpool: running as root, where Chromium works only without its sandbox "
               "(--no-sandbox); run the host as another user to have it\n",
               stderr);
}

bool has_small_shared_memory() {
    std::error_code ec;
    const std::filesystem::space_info space = std::filesystem::space("/dev/shm", ec);
    return ec || space.available < browser::shared_memory_bytes_min;
}

} // namespace

std::vector<std::string> chromium_command_line(const BrowserSpec& spec,
                                               const std::filesystem::path& profile) {
    const std::string name = spec.executable.filename().string();
    const browser::ChromiumCircumstances circumstances{
        .is_headless_shell = name.find("headless") != std::string::npos,
        .is_root = ::geteuid() == 0,
        .has_small_shared_memory = has_small_shared_memory(),
    };
    if (circumstances.is_root) warn_of_missing_sandbox_once();
    return browser::chromium_arguments(profile.string(), circumstances, spec.extra_arguments);
}

Chromium::Chromium(boost::asio::any_io_executor strand, BrowserOptions options,
                   BrowserListener& listener)
    : BrowserProcess(strand, std::move(options), listener),
      commands_(std::make_shared<PendingCommands>(strand, this->options().command_timeout)) {}

void Chromium::prepare(ChildOptions& child, const std::filesystem::path& profile) {
    child.has_control_pipe = true;
    child.arguments = chromium_command_line(options().spec, profile);
}

void Chromium::on_started() {
    read_more();
    send("Target.setDiscoverTargets", {{"discover", true}}, [](error_code, auto&&...) {});
    send("Browser.getVersion", {},
         [weak = weak_self<Chromium>()](error_code ec, const Diagnostics& diagnostics,
                                        const json::value& result) {
             const auto self = weak.lock();
             if (!self) return;
             if (ec) return self->launch_failed(ec, diagnostics.message);
             const std::string product =
                 text_at(result, "product"); // "HeadlessChrome/156.0.8078.79"
             self->launched(product.substr(product.find('/') + 1));
         });
}

void Chromium::async_open_page(std::string url, PageHandler handler) {
    // In a window of its own: a tab behind another one gets fewer cycles (nice 5) and slow timers.
    send("Target.createTarget", {{"url", url}, {"newWindow", true}},
         [weak = weak_self<Chromium>(), handler = std::move(handler)](
             error_code ec, const Diagnostics& diagnostics, const json::value& result) {
             PageId page = text_at(result, "targetId");
             const auto self = weak.lock();
             if (self && !ec) self->pages_.emplace(page, Page{});
             handler(ec, diagnostics, std::move(page));
         });
}

void Chromium::async_close_page(PageId page, Handler handler) {
    if (const auto found = pages_.find(page); found != pages_.end())
        found->second.is_expected_to_go = true;
    send("Target.closeTarget", {{"targetId", page}},
         [weak = weak_self<Chromium>(), page, handler = std::move(handler)](
             error_code ec, const Diagnostics& diagnostics, const json::value&) {
             if (const auto self = weak.lock()) self->pages_.erase(page);
             handler(ec, diagnostics);
         });
}

void Chromium::async_reload_page(PageId page, std::string url, Handler handler) {
    send_to_page(page, "Page.navigate", {{"url", url}},
                 [weak = weak_self<Chromium>(), page, handler = std::move(handler)](
                     error_code ec, Diagnostics diagnostics, const json::value& result) {
                     if (const std::string why = text_at(result, "errorText");
                         !ec && !why.empty()) {
                         ec = Errc::browser_launch_failed;
                         diagnostics.message = "the page cannot be loaded: " + why;
                     }
                     const auto self = weak.lock();
                     // If it dies again, that is news again.
                     if (self && !ec)
                         if (const auto at = self->pages_.find(page); at != self->pages_.end())
                             at->second.is_expected_to_go = false;
                     handler(ec, std::move(diagnostics));
                 });
}

void Chromium::async_ask_browser(Handler handler) {
    send("Browser.getVersion", {},
         [handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                        const json::value&) { handler(ec, diagnostics); });
}

void Chromium::async_ask_page(PageId page, Handler handler) {
    send_to_page(page, "Runtime.evaluate", {{"expression", "1"}},
                 [handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                                const json::value&) { handler(ec, diagnostics); });
}

void Chromium::crash_page(const PageId& page) {
    // Page.crash is never answered: there is nobody left to do so.
    send_to_page(page, "Page.crash", {}, [](error_code, auto&&...) {});
}

void Chromium::send_to_page(const PageId& page, const char* method, json::object parameters,
                            PendingCommands::Handler handler) {
    const auto found = pages_.find(page);
    if (found == pages_.end()) return complete_as_lost(std::move(handler), json::value());
    if (!found->second.session.empty())
        return send(method, parameters, std::move(handler), found->second.session);
    send("Target.attachToTarget", {{"targetId", page}, {"flatten", true}},
         [weak = weak_self<Chromium>(), page, method, parameters = std::move(parameters),
          handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                        const json::value& result) mutable {
             const auto self = weak.lock();
             if (!self) return;
             if (ec) return handler(ec, diagnostics, result);
             const std::string session = text_at(result, "sessionId");
             if (const auto at = self->pages_.find(page); at != self->pages_.end())
                 at->second.session = session;
             self->send(method, parameters, std::move(handler), session);
         });
}

/// An endless script is never answered. It is begun in the order of what was sent, so the answer to
/// a question that is sent before it tells that the thread was there to take it.
void Chromium::async_execute(PageId page, PageThread thread, std::string script, Handler handler) {
    const auto run = [weak = weak_self<Chromium>(), script = std::move(script),
                      handler](const std::string& session) {
        const auto self = weak.lock();
        if (!self) return;
        self->send(
            "Runtime.evaluate", {{"expression", "1"}},
            [weak, session, script, handler](error_code ec, const Diagnostics& diagnostics,
                                             const json::value&) {
                const auto again = weak.lock();
                if (again && !ec)
                    again->send(
                        "Runtime.evaluate", {{"expression", script}}, [](error_code, auto&&...) {},
                        session);
                handler(ec, diagnostics);
            },
            session);
    };
    send_to_page(page, "Target.setAutoAttach",
                 {{"autoAttach", thread == PageThread::compute},
                  {"waitForDebuggerOnStart", false},
                  {"flatten", true}},
                 [weak = weak_self<Chromium>(), page, thread, run,
                  handler](error_code ec, const Diagnostics& diagnostics, const json::value&) {
                     const auto self = weak.lock();
                     if (!self) return;
                     const auto found = self->pages_.find(page);
                     if (!ec && found == self->pages_.end()) ec = Errc::worker_lost;
                     if (ec) return handler(ec, diagnostics);
                     if (thread == PageThread::main) return run(found->second.session);
                     if (!found->second.compute_session.empty())
                         return run(found->second.compute_session);
                     found->second.compute_waiters.push_back(run);
                 });
}

/// A thread of a page has become known, with a session of its own.
void Chromium::on_attached(std::string_view session, const json::object& parameters) {
    const auto* target = parameters.if_contains("targetInfo");
    if (target == nullptr || text_at(*target, "type") != "worker") return;
    for (auto& [id, page] : pages_) {
        if (page.session != session) continue;
        page.compute_session = text_at(parameters, "sessionId");
        for (const auto& run : std::exchange(page.compute_waiters, {})) run(page.compute_session);
        return;
    }
}

std::vector<int> Chromium::processes(BrowserPart part) const {
    if (process_id() == 0) return {};
    if (part == BrowserPart::browser) return {process_id()};
    return engine_processes(BrowserEngine::chromium, part, process_id());
}

void Chromium::ask_to_quit() {
    send("Browser.close", {}, [](error_code, auto&&...) {});
}

void Chromium::disconnect() {
    outgoing_.clear();
    pages_.clear();
    commands_->fail_all(Errc::worker_lost);
}

void Chromium::forget() noexcept { commands_->clear(); }

void Chromium::send(const char* method, const json::object& parameters,
                    PendingCommands::Handler handler, std::string_view session) {
    if (process_id() == 0) return complete_as_lost(std::move(handler), json::value());
    const std::uint64_t id = commands_->add(method, std::move(handler));
    json::object message{{"id", id}, {"method", method}, {"params", parameters}};
    if (!session.empty()) message["sessionId"] = json::string_view(session.data(), session.size());
    outgoing_.push_back(json::serialize(message) + '\0');
    if (outgoing_.size() == 1) write_next();
}

void Chromium::write_next() {
    if (process_id() == 0) return;
    boost::asio::async_write(child().control_in(), boost::asio::buffer(outgoing_.front()),
                             [weak = weak_self<Chromium>()](error_code ec, std::size_t) {
                                 const auto self = weak.lock();
                                 if (!self || self->outgoing_.empty()) return;
                                 if (ec) return self->control_lost();
                                 self->outgoing_.pop_front();
                                 if (!self->outgoing_.empty()) self->write_next();
                             });
}

void Chromium::read_more() {
    child().control_out().async_read_some(
        boost::asio::buffer(buffer_),
        [weak = weak_self<Chromium>()](error_code ec, std::size_t bytes) {
            const auto self = weak.lock();
            if (!self || self->process_id() == 0) return;
            if (ec) return self->control_lost();
            self->on_bytes(bytes);
        });
}

void Chromium::on_bytes(std::size_t bytes) {
    std::string_view rest(buffer_.data(), bytes);
    while (!rest.empty()) {
        const std::size_t end = rest.find('\0');
        incoming_ += rest.substr(0, end);
        if (incoming_.size() > message_bytes_max) return control_lost();
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
        on_message(std::exchange(incoming_, {}));
        if (process_id() == 0) return;
    }
    read_more();
}

void Chromium::on_message(std::string_view text) {
    json::error_code ec;
    const json::value message = json::parse({text.data(), text.size()}, ec);
    const auto* object = ec ? nullptr : message.if_object();
    if (object == nullptr) return;
    const auto* id = object->if_contains("id");
    if (id == nullptr) {
        const auto* parameters = object->if_contains("params");
        if (parameters != nullptr && parameters->is_object())
            on_event(text_at(*object, "method"), text_at(*object, "sessionId"),
                     parameters->get_object());
        return;
    }
    if (!id->is_int64()) return;
    const auto number = static_cast<std::uint64_t>(id->get_int64());
    if (const auto* error = object->if_contains("error"))
        return commands_->fail(number, Errc::browser_launch_failed, "was refused",
                               text_at(*error, "message"));
    const auto* result = object->if_contains("result");
    commands_->complete(number, result == nullptr ? json::value() : *result);
}

void Chromium::on_event(std::string_view method, std::string_view session,
                        const json::object& parameters) {
    if (method == "Target.attachedToTarget") return on_attached(session, parameters);
    if (method == "Target.detachedFromTarget") {
        const std::string gone = text_at(parameters, "sessionId");
        for (auto& [id, page] : pages_) {
            if (page.compute_session == gone) page.compute_session.clear();
            if (page.session == gone) page.session.clear();
        }
        return;
    }
    const bool has_crashed = method == "Target.targetCrashed";
    if (!has_crashed && method != "Target.targetDestroyed") return;
    const auto found = pages_.find(text_at(parameters, "targetId"));
    if (found == pages_.end()) return;
    const PageId page = found->first;
    const bool is_wanted = std::exchange(found->second.is_expected_to_go, true); // told once
    if (!has_crashed) pages_.erase(found); // otherwise its tab stays until it is closed
    if (!is_wanted && listener() != nullptr && !is_closing())
        listener()->on_page_crashed(page, has_crashed ? text_at(parameters, "status")
                                                      : std::string("closed by itself"));
}

} // namespace everpool::io
