// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_driver.hpp"

#include "everpool/browser/failure_classification.hpp"
#include "everpool/browser/profile.hpp"
#include "everpool/core/ladder.hpp"
#include "facade/evidence_of_loss.hpp"
#include "io/linux/process_group.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace everpool::facade {

using core::LossCause;
using wire::Channel;

namespace {

/// A page whose connections are gone, or whose process was killed, may be dying, and its network
/// service may be: either refuses to be navigated until it is known to be dead. Both were seen to
/// take some 20 to 100 ms. Before the first try there is such a pause as well, if connections are
/// gone: the end of a page that lives is in the way of those who answer in its place. (WebKitGTK:
/// the p95 of callers' answers was 70 ms without it, 15 to 18 with it.)
constexpr int reload_tries = 100;
constexpr std::chrono::milliseconds reload_pause{30};

} // namespace

/// One browser process from launch to exit. Outlives its driver's interest in it while it is being
/// closed; `owner` is null from then on.
struct WorkerDriver::BrowserLife final : io::BrowserListener {
    WorkerDriver* owner{nullptr};
    std::unique_ptr<io::Browser> browser;

    void on_browser_exited(int wait_status) override {
        if (owner == nullptr) return;
        WorkerDriver& driver = *owner;
        driver.let_go(false, [](error_code, Diagnostics) {});
        driver.page_.clear();
        driver.lost(LossCause::process_exited, ProcessExited{.wait_status = wait_status});
    }

    void on_page_crashed(const io::PageId& page, const std::string& reason) override {
        if (owner == nullptr || page != owner->page_) return;
        if (std::exchange(owner->has_crash_to_come_, false)) return owner->reload_page();
        owner->lost(LossCause::page_crashed, PageCrashed{.reason = reason});
    }
};

WorkerDriver::WorkerDriver(WorkerId id, std::vector<BrowserSpec> specs,
                           WorkerSurroundings& surroundings)
    : id_(id),
      specs_(std::move(specs)),
      with_(surroundings),
      starvation_(surroundings.strand),
      self_(std::make_shared<WorkerDriver*>(this)) {}

WorkerDriver::~WorkerDriver() {
    if (life_) life_->owner = nullptr;
    for (const auto& leaving : leaving_)
        if (const auto life = leaving.lock()) life->browser.reset(); // the nest goes after us
}

io::Browser& WorkerDriver::browser() const noexcept { return *life_->browser; }

int WorkerDriver::process_id() const noexcept { return life_ ? life_->browser->process_id() : 0; }

void WorkerDriver::start(const core::StartWorker& action) {
    generation_ = action.generation;
    rung_ = action.rung;
    if (action.form.browser != form_.browser) gpu_ = Gpu::none; // of another browser
    form_ = action.form;
    question_ = {};
    if (action.rung <= RecoveryRung::recreate_device) return keep_connections();
    has_data_ = false;
    const BrowserEngine engine = engine_of(spec().type);
    // A hung part answers nobody, and would take what is made anew down with it. A WebKit's session
    // ends with its network process.
    if (action.cause == LossCause::gpu_hung) kill_part(io::BrowserPart::gpu);
    if (action.cause == LossCause::network_hung && kill_part(io::BrowserPart::network) &&
        engine == BrowserEngine::webkit && !replaces_browser(action.rung))
        return fail_start("the session ends with the network process, which hung");
    // A page that loops takes processor time from the one that replaces it, and one whose process
    // stands still, or hardly moves, is not closed. With a WebKit's page its session would end.
    const bool is_page_stuck =
        action.cause == LossCause::page_hung || action.cause == LossCause::slow;
    const bool has_killed_page = is_page_stuck && action.rung == RecoveryRung::new_page &&
                                 engine != BrowserEngine::webkit &&
                                 kill_part(io::BrowserPart::page);
    if (action.rung <= RecoveryRung::replace_compute) return restart_compute();
    has_control_ = false;
    // Firefox opens a window more slowly than it gives one that it has a new page in a new process.
    const bool keeps_window = has_killed_page && engine == BrowserEngine::gecko && !page_.empty();
    has_crash_to_come_ = keeps_window || (action.rung == RecoveryRung::reload_page &&
                                          action.cause == LossCause::connection_closed);
    with_.bridge.revoke(id_);
    if ((keeps_window || action.rung == RecoveryRung::reload_page) && life_ && !page_.empty()) {
        if (action.cause == LossCause::connection_closed) return reload_page_soon(reload_tries);
        return reload_page(
            has_crash_to_come_ || action.cause == LossCause::network_hung ? reload_tries : 0);
    }
    if (!replaces_browser(action.rung) && life_) {
        if (page_.empty()) return open_page();
        return life_->browser->async_close_page(
            std::exchange(page_, {}),
            in_this_life([](WorkerDriver& self, error_code, Diagnostics) { self.open_page(); }));
    }
    page_.clear();
    if (!life_) return launch();
    let_go(false, in_this_life([](WorkerDriver& self, error_code, Diagnostics) { self.launch(); }));
}

void WorkerDriver::reload_page(int more_tries) {
    life_->browser->async_reload_page(
        page_, with_.bridge.admit(id_, generation_),
        in_this_life([which = ++reload_count_, more_tries](WorkerDriver& self, error_code ec,
                                                           Diagnostics why) {
            if (which != self.reload_count_) return; // the page died under it, and it was repeated
            if (ec && ec != Errc::worker_lost && more_tries > 0)
                return self.reload_page_soon(more_tries - 1);
            if (ec) self.start_failed(ec, std::move(why));
        }));
}

/// Unless it is begun anew until then.
void WorkerDriver::reload_page_soon(int more_tries) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(with_.strand, reload_pause);
    timer->async_wait(
        [timer, next = in_this_life([which = reload_count_, more_tries](WorkerDriver& self) {
                    if (which == self.reload_count_ && self.life_ && !self.page_.empty())
                        self.reload_page(more_tries);
                })](error_code) { next(); });
}

/// \return whether there was a process to be killed
bool WorkerDriver::kill_part(io::BrowserPart part) {
    if (!life_) return false;
    const std::vector<int> processes = life_->browser->processes(part);
    for (const int process : processes) io::send_signal(process, io::ProcessSignal::kill);
    return !processes.empty();
}

/// Closes the browser. It keeps itself alive until nothing is left of it, or we are gone.
void WorkerDriver::let_go(bool graceful, io::Browser::Handler closed) {
    const auto life = std::exchange(life_, nullptr);
    life->owner = nullptr;
    std::erase_if(leaving_, [](const auto& one) { return one.expired(); });
    leaving_.push_back(life);
    life->browser->async_close(graceful,
                               [life, closed = std::move(closed)](error_code ec, Diagnostics why) {
                                   closed(ec, std::move(why));
                               });
}

void WorkerDriver::launch() {
    io::BrowserOptions options;
    options.spec = spec();
    if (form_.adjustment != 0) {
        auto adjusted = browser::adjusted_settings(spec().type, form_.adjusted_for, with_.family,
                                                   form_.adjustment);
        // The host's own come last, and win.
        auto& arguments = options.spec.extra_arguments;
        arguments.insert(arguments.begin(), adjusted.arguments.begin(), adjusted.arguments.end());
        auto& preferences = options.spec.extra_preferences;
        preferences.insert(preferences.begin(), adjusted.preferences.begin(),
                           adjusted.preferences.end());
    }
    options.nest = &with_.nest;
    options.close_grace = std::chrono::duration_cast<std::chrono::milliseconds>(with_.stop_grace);
    try {
        options.directory = with_.nest.make_directory();
    } catch (const boost::system::system_error& error) {
        return start_failed(
            error.code(),
            {error.what(), "free space in the temporary directory", {}, error.code()});
    }
    if (launches_to_fail_ > 0)
        if (const error_code ec = sabotage(options))
            return start_failed(ec, {ec.message(), {}, {}, ec});
    life_ = std::make_shared<BrowserLife>();
    life_->owner = this;
    life_->browser = io::make_browser(with_.strand, std::move(options), *life_);
    life_->browser->async_launch(
        in_this_life([](WorkerDriver& self, error_code ec, Diagnostics diagnostics) {
            if (ec) return self.start_failed(ec, std::move(diagnostics));
            self.version_ = self.life_ ? self.life_->browser->version() : std::string();
            if (self.life_ && self.with_.launched) self.with_.launched(self.id_);
            self.open_page();
        }));
}

void WorkerDriver::open_page() {
    if (!life_) // it exited while its old page was being closed; on_browser_exited has told
        return;
    life_->browser->async_open_page(
        with_.bridge.admit(id_, generation_),
        in_this_life([](WorkerDriver& self, error_code ec, Diagnostics why, io::PageId page) {
            if (ec) return self.start_failed(ec, std::move(why));
            self.page_ = std::move(page);
            self.follow_page();
        }));
}

/// As soon as it is known which page it is, and that it computes.
void WorkerDriver::follow_page() {
    if (has_data_ && life_ && !page_.empty()) life_->browser->follow_page(page_);
}

/// The page has let go of what it lost, and takes models again as it is.
void WorkerDriver::keep_connections() {
    with_.bridge.renew(id_, generation_);
    starvation_.start_over();
    if (!has_control_ || !has_data_) return fail_start("a connection of the page is gone");
    // Never inside start(): the core is still handing out its actions.
    boost::asio::post(with_.strand, in_this_life([](WorkerDriver& self) {
                          self.with_.report(core::WorkerConnected{self.id_, self.generation_});
                      }));
}

/// The worker is lost for this rung. Not inside start(), as above.
void WorkerDriver::fail_start(const char* why) {
    boost::asio::post(with_.strand, in_this_life([why](WorkerDriver& self) {
                          const error_code ec = Errc::worker_lost;
                          self.start_failed(ec, {why, {}, {}, ec});
                      }));
}

void WorkerDriver::restart_compute() {
    with_.bridge.promote(id_, generation_);
    const error_code ec = with_.bridge.send(id_, Channel::control, wire::Drain{true});
    if (ec) fail_start("the page's control connection is gone");
}

void WorkerDriver::stop(Generation generation, bool graceful) {
    generation_ = generation;
    has_control_ = has_data_ = false;
    page_.clear();
    with_.bridge.revoke(id_);
    io::Browser::Handler stopped = in_this_life([](WorkerDriver& self, error_code, Diagnostics) {
        self.with_.report(core::WorkerStopped{self.id_, self.generation_});
    });
    if (life_) return let_go(graceful && with_.stop_grace > Duration::zero(), std::move(stopped));
    // The one that it had last may still be on its way out.
    if (const auto last = leaving_.empty() ? nullptr : leaving_.back().lock())
        return last->browser->async_close(false, std::move(stopped));
    boost::asio::post(with_.strand, [stopped = std::move(stopped)] { stopped({}, {}); });
}

void WorkerDriver::start_failed(error_code ec, Diagnostics diagnostics) {
    trouble_ = std::move(diagnostics);
    if (!trouble_.last_cause) trouble_.last_cause = ec;
    const Errc code = ec.category() == error_category() ? static_cast<Errc>(ec.value())
                                                        : Errc::browser_launch_failed;
    with_.report(core::WorkerStartFailed{id_, generation_, code, code == Errc::browser_not_found});
}

void WorkerDriver::lost(LossCause cause, FailureEvidence evidence) {
    // An engine tells in words that a page died for want of memory.
    if (cause == LossCause::page_crashed &&
        categorize_browser_failure(evidence, context()).category == BrowserFailureCategory::memory)
        cause = LossCause::memory_exhausted;
    // A page dies, then its connections close: what came first says most.
    if (!seen_ || seen_->generation != generation_)
        seen_ = Seen{generation_, cause, std::move(evidence)};
    with_.report(core::WorkerLost{id_, generation_, cause});
}

FailureContext WorkerDriver::context() const {
    return {.browser = spec().type, .version = version_};
}

BrowserFailure WorkerDriver::failure_of(const core::Notice& notice) const {
    const bool was_seen =
        seen_ && seen_->generation == notice.generation && seen_->cause == notice.cause;
    FailureContext about = context();
    if (notice.cause == LossCause::gpu_hung) about.provider = Provider::webgpu; // see evidence_of()
    if (notice.operations != 0) about.phase = FailurePhase::sent;
    return categorize_browser_failure(was_seen ? seen_->evidence : evidence_of(notice), about);
}

void WorkerDriver::on_hello(Channel channel, wire::Hello hello) {
    // Pages do not come back by themselves. Who takes the place of a connection does not know what
    // was loaded through it, nor has it what was sent to it.
    if (std::exchange(channel == Channel::control ? has_control_ : has_data_, true))
        return lost(LossCause::connection_closed, PageNavigated{});
    if (hello.capabilities) {
        capabilities_ = std::move(*hello.capabilities);
        if (has_lost_its_gpu())
            return lost(
                LossCause::software_adapter,
                AdapterBecameFallback{.adapter = fmt::format("{}/{}", capabilities_.webgpu.vendor,
                                                             capabilities_.webgpu.architecture)});
    }
    has_crash_to_come_ = false; // the new document lives
    if (channel == Channel::data) {
        starvation_.watch(process_id(), engine_of(spec().type));
        follow_page();
    }
    if (has_control_ && has_data_) with_.report(core::WorkerConnected{id_, generation_});
}

/// After a loss Chromium may give a software adapter, or none, to whoever asks in the same document
/// or in the same browser. A browser that was started anew has no such reason: what it has then is
/// what there is.
bool WorkerDriver::has_lost_its_gpu() {
    const auto& webgpu = capabilities_.webgpu;
    const Gpu now = !webgpu.available            ? Gpu::none
                    : webgpu.is_fallback_adapter ? Gpu::software
                                                 : Gpu::hardware;
    const bool is_less = now < gpu_ && !replaces_browser(rung_);
    if (is_less && with_.models.has_provider(Provider::webgpu)) return true;
    gpu_ = now;
    return false;
}

void WorkerDriver::on_closed(Channel channel, error_code ec, std::uint16_t close_code) {
    (channel == Channel::control ? has_control_ : has_data_) = false;
    if (ec == Errc::protocol_error || ec == Errc::message_too_large)
        return lost(LossCause::protocol_error,
                    OperationFailed{
                        .code = static_cast<Errc>(ec.value()),
                        .message = fmt::format("on its {} connection", wire::name_of(channel))});
    lost(LossCause::connection_closed,
         ConnectionClosed{.channel = channel == Channel::control ? WorkerChannel::page
                                                                 : WorkerChannel::compute,
                          .close_code = close_code});
}

void WorkerDriver::ping(Channel channel, std::uint64_t sequence) {
    if (channel == Channel::data) starvation_.on_ping(sequence);
    // An unsendable ping stays unanswered, which is just what the core is looking for.
    (void)with_.bridge.send(id_, channel, wire::Ping{sequence});
}

void WorkerDriver::ask_control(core::ControlQuestion question, std::uint64_t sequence) {
    if (!life_) return;
    if (question == core::ControlQuestion::starvation)
        return starvation_.look(
            in_this_life([question, sequence](WorkerDriver& self, const core::ThreadsSeen& seen) {
                self.with_.report(
                    core::ControlAnswered{self.id_, self.generation_, question, sequence, seen});
            }));
    const auto answered = in_this_life([question, sequence](WorkerDriver& self, error_code ec,
                                                            const Diagnostics&) {
        if (ec) return; // no answer is what the core is looking for
        self.with_.report(core::ControlAnswered{self.id_, self.generation_, question, sequence});
    });
    if (question == core::ControlQuestion::browser) life_->browser->async_ask_browser(answered);
    else if (!page_.empty()) life_->browser->async_ask_page(page_, answered);
}

void WorkerDriver::on_message(Channel channel, wire::Message message) {
    if (const auto* pong = std::get_if<wire::Pong>(&message)) {
        if (channel == Channel::data) starvation_.on_pong(pong->sequence);
        return with_.report(core::PongArrived{id_, generation_, channel, pong->sequence});
    }
    if (auto* ready = std::get_if<wire::Ready>(&message)) return on(*ready);
    if (auto* result = std::get_if<wire::RunResult>(&message)) return on(*result);
    if (auto* error = std::get_if<wire::RemoteError>(&message)) return on(*error);
    if (auto* progress = std::get_if<wire::Progress>(&message)) return on(*progress);
    if (auto* event = std::get_if<wire::PageEvent>(&message)) return on(*event);
    // bye is followed by the close itself; the rest no page should send.
    if (!std::holds_alternative<wire::Bye>(message))
        lost(LossCause::protocol_error,
             OperationFailed{.code = Errc::protocol_error,
                             .message = "it sent a message that only the host sends"});
}

void WorkerDriver::on(const wire::PageEvent& event) {
    if (event.type == "device_lost")
        return lost(LossCause::device_lost,
                    DeviceLost{.api = DeviceApi::webgpu, .message = event.message});
    if (event.type == "context_lost")
        return lost(LossCause::context_lost,
                    DeviceLost{.api = DeviceApi::webnn, .message = event.message});
    PoolEvent told;
    told.kind = PoolEvent::Kind::page_message;
    told.worker = id_;
    told.generation = generation_;
    told.browser = spec().type;
    told.detail = escape_remote_text(event.type, 64);
    told.diagnostics.remote_text = escape_remote_text(event.message);
    if (event.type == "unhandled_error")
        told.failure =
            categorize_browser_failure(UnhandledError{.message = event.message}, context());
    if (event.type == "page_hidden")
        told.failure = categorize_browser_failure(PageHidden{}, context());
    with_.tell(std::move(told));
}

void WorkerDriver::crash_page() {
    if (life_ && !page_.empty()) life_->browser->crash_page(page_);
}

} // namespace everpool::facade
