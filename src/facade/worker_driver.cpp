// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_driver.hpp"

#include "everpool/browser/failure_classification.hpp"
#include "facade/evidence_of_loss.hpp"
#include "facade/own_code.hpp"
#include "facade/worker_life.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

namespace everpool::facade {

using core::LossCause;
using wire::Channel;

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
    const Errc code = own_code(ec, Errc::browser_launch_failed);
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
        kill_stopped();
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
