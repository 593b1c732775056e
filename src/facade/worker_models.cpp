// Everpool facade: a worker's models, each loaded and warmed up by a question and its answer.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/fallback_order.hpp"
#include "facade/warm_up_check.hpp"
#include "facade/worker_driver.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace everpool::facade {

using core::LossCause;
using wire::Channel;

void WorkerDriver::load_model(ModelId model) {
    const auto& entry = with_.models.at(model);
    question_ = {++question_count_, model, false};
    send_question(wire::LoadModel{question_.id, entry.spec.name,
                                  io::Bridge::model_path(entry.spec.name), entry.file_bytes,
                                  providers_of(entry.spec)});
}

/// In the order of preference, but for one that was in use when a previous host died.
std::vector<Provider> WorkerDriver::providers_of(const ModelSpec& model) const {
    std::vector<Provider> offered{Provider::wasm};
    if (capabilities_.webgpu.available) offered.push_back(Provider::webgpu);
    if (capabilities_.webnn.available) offered.push_back(Provider::webnn);
    auto out = browser::providers_after(form_.provider_turns, model.providers, offered);
    const auto preferred = preferred_.find(model.name);
    if (generation_ != Generation{1} || preferred == preferred_.end()) return out;
    const auto at = std::find(out.begin(), out.end(), preferred->second);
    if (at != out.end()) std::rotate(out.begin(), at, at + 1);
    return out;
}

void WorkerDriver::warm_up_model(ModelId model) {
    const auto& entry = with_.models.at(model);
    question_ = {++question_count_, model, true};
    if (!entry.spec.warm_up) {
        boost::asio::post(
            with_.strand, in_this_life([model](WorkerDriver& self) {
                self.with_.report(core::ModelWarmedUp{self.id_, self.generation_, model});
            }));
        return;
    }
    wire::Run run;
    run.id = question_.id;
    run.operation = "inference";
    run.model = entry.spec.name;
    run.tensors = entry.spec.warm_up->inputs;
    send_question(run);
}

void WorkerDriver::send_question(const wire::Message& message) {
    const error_code ec = with_.bridge.send(id_, Channel::data, message);
    if (!ec) return;
    if (ec == Errc::worker_lost) return; // on_closed tells it
    boost::asio::post(with_.strand, in_this_life([ec, id = question_.id](WorkerDriver& self) {
                          if (!self.is_asked(id))
                              return; // the page has said no to what it was never sent
                          Diagnostics why;
                          why.message =
                              fmt::format("model '{}': its {} cannot be sent",
                                          self.with_.models.at(self.question_.model).spec.name,
                                          self.question_.is_warm_up ? "warm-up" : "description");
                          if (ec == Errc::message_too_large)
                              why.remedy = "use smaller inputs in ModelSpec::warm_up, or raise "
                                           "ResourcePoolConfig::frame_bytes_max";
                          why.last_cause = ec;
                          self.model_rejected(static_cast<Errc>(ec.value()), std::move(why));
                      }));
}

/// Whether this is what the page was asked last. It may answer whenever and whatever it likes, also
/// with the 0 that stands here while nothing is asked.
bool WorkerDriver::is_asked(std::uint64_t id) const noexcept {
    return !question_.model.is_none() && id == question_.id;
}

void WorkerDriver::on(wire::Ready& ready) {
    if (ready.unloaded || !is_asked(ready.id) || question_.is_warm_up) return;
    auto& entry = with_.models.at(question_.model);
    if (!entry.signature)
        entry.signature = ModelSignature{std::move(ready.inputs), std::move(ready.outputs)};
    if (loaded_.size() < with_.models.size()) loaded_.resize(with_.models.size());
    loaded_[question_.model.value] = ready.provider;
    with_.report(core::ModelLoaded{id_, generation_, question_.model});
}

void WorkerDriver::on(wire::RunResult& result) {
    if (!is_asked(result.id) || !question_.is_warm_up) return;
    const auto& spec = with_.models.at(question_.model).spec;
    Diagnostics diagnostics;
    const Errc code =
        check_warm_up(spec.name, *spec.warm_up, result.tensors, with_.vote, diagnostics);
    if (code != Errc::ok) return model_rejected(code, std::move(diagnostics));
    with_.report(core::ModelWarmedUp{id_, generation_, question_.model});
}

void WorkerDriver::on(wire::RemoteError& error) {
    if (!is_asked(error.id)) return;
    if (error.code == Errc::device_lost) return; // the event that follows is acted upon
    const auto& name = with_.models.at(question_.model).spec.name;
    if (error.code == Errc::worker_lost) // the connection's fault, which may pass; not the model's
        return lost(LossCause::connection_closed,
                    OperationFailed{.code = error.code,
                                    .message = fmt::format("could not fetch model '{}': {}", name,
                                                           error.message)});
    Diagnostics diagnostics;
    diagnostics.message = fmt::format("model '{}': {} failed on worker {} ({} {})", name,
                                      question_.is_warm_up ? "warm-up" : "loading", id_.value,
                                      name_of(spec().type), version_);
    diagnostics.remedy = error.code == Errc::provider_unavailable
                             ? "add a provider that this browser has to ModelSpec::providers"
                             : "check that the file is an ONNX model that onnxruntime-web supports";
    diagnostics.remote_text = escape_remote_text(error.message);
    model_rejected(error.code, std::move(diagnostics));
}

void WorkerDriver::model_rejected(Errc code, Diagnostics diagnostics) {
    const ModelId model = question_.model;
    if (!diagnostics.last_cause) diagnostics.last_cause = code;
    with_.models.at(model).rejection = std::move(diagnostics);
    question_ = {};
    with_.report(core::ModelRejected{id_, generation_, model, code});
}

void WorkerDriver::on(const wire::Progress& progress) {
    PoolEvent event;
    event.kind = PoolEvent::Kind::model_loading;
    event.worker = id_;
    event.generation = generation_;
    event.browser = spec().type;
    event.model = escape_remote_text(progress.model, 128);
    event.detail = fmt::format("{} {}/{}", escape_remote_text(progress.phase, 32), progress.loaded,
                               progress.total);
    with_.tell(std::move(event));
}

} // namespace everpool::facade
