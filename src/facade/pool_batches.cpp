// Everpool facade: several requests that are sent, computed and answered as one.
// SPDX-License-Identifier: BSL-1.0
#include "facade/batch_tensors.hpp"
#include "facade/own_code.hpp"
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::facade {

namespace {

/// May it be due to one of the requests alone? Then the others can be computed without it.
bool is_of_inputs(Errc code) noexcept {
    return code == Errc::operation_failed || code == Errc::invalid_input ||
           code == Errc::message_too_large;
}

} // namespace

bool PoolDriver::is_of_gathered(const core::Action& action) const noexcept {
    const auto* dispatch = std::get_if<core::Dispatch>(&action);
    return dispatch != nullptr && dispatch->batch == gathered_.front().batch;
}

/// What the core has given to a worker as one.
void PoolDriver::send_gathered() {
    const std::vector<core::Dispatch> gathered = std::exchange(gathered_, {});
    WorkerDriver& worker = *workers_.at(gathered.front().worker.value);
    std::vector<BatchMember> members;
    for (const core::Dispatch& one : gathered) {
        Pending& pending = requests_.at(one.request.value);
        BatchMember member{.request = one.request, .attempt = one.attempt};
        const Errc wrong = check_against_model(pending);
        if (wrong == Errc::ok) {
            member.rows = *rows_of(pending.run.tensors);
            members.push_back(member);
        } else {
            answer(worker, member, wrong, false);
        }
    }
    send_members(worker, std::move(members));
}

/// Those for whom nobody waits any more are left out.
void PoolDriver::send_members(WorkerDriver& worker, std::vector<BatchMember> members) {
    std::erase_if(members, [&](const BatchMember& one) {
        const bool is_gone = !one.is_wanted || !requests_.contains(one.request.value);
        if (is_gone) answer(worker, one, Errc::cancelled, true);
        return is_gone;
    });
    if (members.empty()) return;
    const Pending& first = requests_.at(members.front().request.value);
    std::vector<const std::vector<Tensor>*> parts;
    for (const BatchMember& one : members)
        parts.push_back(&requests_.at(one.request.value).run.tensors);
    const bool is_alike = std::ranges::all_of(
        parts, [&](const std::vector<Tensor>* part) { return are_alike(*part, *parts.front()); });
    if (members.size() == 1 || !is_alike || has_bound_rows(first.model))
        return send_each(worker, members);

    wire::Run run;
    run.id = members.front().request.value;
    run.attempt = members.front().attempt;
    run.operation = first.run.operation;
    run.model = first.run.model;
    run.tensors = join_rows(parts);
    const error_code ec =
        bridge_->send(worker.id(), wire::Channel::data, wire::Message{std::move(run)});
    if (ec == Errc::message_too_large) return send_halves(worker, members);
    if (ec == Errc::invalid_request)
        return send_each(worker, members); // says of each what is wrong
    if (ec) {
        for (const BatchMember& one : members) {
            requests_.at(one.request.value).diagnostics.last_cause = ec;
            answer(worker, one, own_code(ec, Errc::worker_lost), false);
        }
        return;
    }
    SnapshotBoard::add(board_.counters.batches);
    SnapshotBoard::add(board_.counters.batched, std::uint64_t{members.size()});
    batches_.add({.worker = worker.id(), .members = std::move(members)});
}

void PoolDriver::send_halves(WorkerDriver& worker, const std::vector<BatchMember>& members) {
    const auto middle = members.begin() + static_cast<std::ptrdiff_t>((members.size() + 1) / 2);
    send_members(worker, {members.begin(), middle});
    send_members(worker, {middle, members.end()});
}

void PoolDriver::send_each(WorkerDriver& worker, const std::vector<BatchMember>& members) {
    for (const BatchMember& one : members)
        send({.worker = worker.id(),
              .generation = worker.generation(),
              .request = one.request,
              .attempt = one.attempt},
             requests_.at(one.request.value));
}

void PoolDriver::answer(const WorkerDriver& worker, const BatchMember& member, Errc code,
                        bool was_sent) {
    feed(core::Replied{worker.id(), worker.generation(), member.request, member.attempt, code,
                       was_sent});
}

void PoolDriver::on_batch_reply(WorkerDriver& worker, const SentBatch& batch,
                                wire::RunResult&& result) {
    std::vector<std::uint32_t> rows;
    for (const BatchMember& one : batch.members) rows.push_back(one.rows);
    auto parts = split_rows(result.tensors, rows);
    if (!parts) return as_one_step([&] { give_up_batching(worker, batch, result); });
    result.tensors.clear(); // each gets its part, not a copy of the whole first
    const auto size = static_cast<std::uint32_t>(batch.members.size());
    for (std::size_t i = 0; i < batch.members.size(); ++i) {
        wire::RunResult one = result;
        one.id = batch.members[i].request.value;
        one.attempt = batch.members[i].attempt;
        one.tensors = std::move((*parts)[i]);
        keep_reply(worker, std::move(one), size);
    }
    as_one_step([&] {
        for (const BatchMember& one : batch.members) answer(worker, one, Errc::ok, true);
    });
}

void PoolDriver::on_batch_reply(WorkerDriver& worker, const SentBatch& batch,
                                const wire::RemoteError& error) {
    const Errc code = answer_of_page(error.code);
    as_one_step([&] {
        if (is_of_inputs(code)) return send_halves(worker, batch.members);
        for (const BatchMember& one : batch.members) {
            keep_trouble(worker, one.request, one.attempt, error);
            answer(worker, one, code, true);
        }
    });
}

/// What came back cannot be taken apart: the rows have something to do with each other.
void PoolDriver::give_up_batching(WorkerDriver& worker, const SentBatch& batch,
                                  const wire::RunResult& result) {
    std::uint64_t rows = 0;
    for (const BatchMember& one : batch.members) rows += one.rows;
    const auto someone = std::ranges::find_if(batch.members, [&](const BatchMember& one) {
        return requests_.contains(one.request.value);
    });
    if (someone != batch.members.end()) {
        std::string outputs;
        for (const Tensor& tensor : result.tensors)
            outputs += (outputs.empty() ? "" : ", ") + tensor.describe();
        note_bound_rows(
            requests_.at(someone->request.value).model,
            fmt::format("was given {} rows and gave {}", rows, escape_remote_text(outputs, 400)));
    }
    send_members(worker, batch.members);
}

/// As far as is known.
bool PoolDriver::has_bound_rows(ModelId id) {
    ModelRegistry::Entry& model = models_.at(id);
    if (model.has_bound_rows || !model.signature) return model.has_bound_rows;
    for (const TensorSpec& input : model.signature->inputs)
        if (input.shape.empty() || input.shape.front() >= 0)
            note_bound_rows(id, "takes " + escape_remote_text(input.describe(), 200));
    return model.has_bound_rows;
}

/// `why`: in the words that follow the model's name.
void PoolDriver::note_bound_rows(ModelId id, const std::string& why) {
    ModelRegistry::Entry& model = models_.at(id);
    if (std::exchange(model.has_bound_rows, true)) return;
    warn(Errc::operation_failed,
         {fmt::format("model '{}' {}: its requests go alone from now on", model.spec.name, why),
          "leave ModelSpec::batching empty for it",
          {},
          {}});
}

} // namespace everpool::facade
