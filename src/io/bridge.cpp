// SPDX-License-Identifier: BSL-1.0
#include "io/bridge.hpp"

#include "io/bridge_state.hpp"
#include "io/web_content.hpp"

#include <utility>

namespace everpool::io {

Bridge::Bridge(boost::asio::any_io_executor strand, BridgeConfig config, BridgeListener& listener,
               std::shared_ptr<BridgeStats> stats)
    : state_(std::make_shared<State>(std::move(strand), config, listener, std::move(stats))) {}

Bridge::~Bridge() { state_->close(); }

error_code Bridge::listen() { return state_->listen(); }
void Bridge::close() { state_->close(); }
std::uint16_t Bridge::port() const noexcept { return state_->port(); }
std::string Bridge::origin() const { return state_->origin(); }

void Bridge::add_model(std::string name, std::filesystem::path file) {
    state_->web_content().add_model(name, std::move(file));
}

void Bridge::add_module(std::string name, std::filesystem::path file) {
    state_->web_content().add_module(name, std::move(file));
}

std::string Bridge::model_path(std::string_view name) { return WebContent::model_path(name); }
std::string Bridge::module_path(std::string_view name) { return WebContent::module_path(name); }

std::string Bridge::admit(WorkerId worker, Generation generation) {
    return state_->admit(worker, generation);
}

void Bridge::promote(WorkerId worker, Generation generation) {
    state_->promote(worker, generation);
}

void Bridge::renew(WorkerId worker, Generation generation) { state_->renew(worker, generation); }

void Bridge::revoke(WorkerId worker) { state_->revoke(worker); }
void Bridge::cut(WorkerId worker) { state_->cut(worker); }

error_code Bridge::send(WorkerId worker, wire::Channel channel, const wire::Message& message) {
    return state_->send(worker, channel, message);
}

const BridgeStats& Bridge::stats() const noexcept { return state_->stats(); }
ReceiveBufferStats Bridge::receive_buffers() const { return state_->receive_buffers(); }

} // namespace everpool::io
