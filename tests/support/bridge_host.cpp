// SPDX-License-Identifier: BSL-1.0
#include "support/bridge_host.hpp"

#include <chrono>

namespace everpool::test {

BridgeHost::BridgeHost(io::BridgeConfig config) : work_(context_.get_executor()) {
    bridge_ = std::make_unique<io::Bridge>(context_.get_executor(), config, *this);
    if (const error_code ec = bridge_->listen()) throw boost::system::system_error(ec);
    port_ = bridge_->port();
    thread_ = std::thread([this] { context_.run(); });
}

BridgeHost::~BridgeHost() {
    destroy_bridge();
    work_.reset(); // what is left must end by itself: a handler that waits for ever hangs the test
    thread_.join();
}

io::BridgeStats BridgeHost::stats() {
    return with([](io::Bridge& bridge) { return bridge.stats(); });
}

io::ReceiveBufferStats BridgeHost::receive_buffers() {
    return with([](io::Bridge& bridge) { return bridge.receive_buffers(); });
}

std::string page_path(const std::string& url) {
    const std::size_t path = url.find("/w/");
    return url.substr(path, url.find('?', path) - path);
}

std::string BridgeHost::admit(std::uint32_t worker, std::uint64_t generation) {
    return page_path(with([&](io::Bridge& bridge) {
        return bridge.admit(WorkerId{worker}, Generation{generation});
    }));
}

error_code BridgeHost::send(std::uint32_t worker, wire::Channel channel,
                            const wire::Message& message) {
    return with(
        [&](io::Bridge& bridge) { return bridge.send(WorkerId{worker}, channel, message); });
}

std::optional<BridgeHost::Told> BridgeHost::next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !told_.empty(); }))
        return std::nullopt;
    Told told = std::move(told_.front());
    told_.pop_front();
    return told;
}

bool BridgeHost::is_quiet() {
    // Two rounds through the reactor: the second handler runs after all that was ready before it.
    for (int round = 0; round < 2; ++round) {
        std::promise<void> done;
        boost::asio::post(context_, [&] { done.set_value(); });
        done.get_future().wait();
    }
    const std::lock_guard lock(mutex_);
    return told_.empty();
}

void BridgeHost::on_next(std::function<void(io::Bridge&)> action) {
    with([&](io::Bridge&) { action_ = std::move(action); });
}

void BridgeHost::destroy_bridge() {
    std::promise<void> done;
    boost::asio::post(context_, [&] {
        bridge_.reset();
        done.set_value();
    });
    done.get_future().wait();
}

void BridgeHost::destroy_bridge_in_next_callback() {
    with([&](io::Bridge&) { destroys_bridge_ = true; });
}

void BridgeHost::on_hello(WorkerId worker, Generation generation, wire::Channel channel,
                          wire::Hello hello) {
    tell({Told::What::hello, worker, generation, channel, std::move(hello), {}});
}

void BridgeHost::on_message(WorkerId worker, Generation generation, wire::Channel channel,
                            wire::Message message) {
    tell({Told::What::message, worker, generation, channel, std::move(message), {}});
}

void BridgeHost::on_closed(WorkerId worker, Generation generation, wire::Channel channel,
                           error_code ec, std::uint16_t close_code) {
    tell({Told::What::closed, worker, generation, channel, {}, ec, close_code});
}

void BridgeHost::tell(Told told) {
    if (destroys_bridge_) bridge_.reset();
    if (action_) std::exchange(action_, nullptr)(*bridge_);
    {
        const std::lock_guard lock(mutex_);
        told_.push_back(std::move(told));
    }
    changed_.notify_all();
}

} // namespace everpool::test
