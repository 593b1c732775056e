// Everpool facade: several answers to one request, compared.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/vote_count.hpp"
#include "facade/pool_driver.hpp"

#include <span>
#include <utility>

namespace everpool::facade {

/// Who says what.
Vote PoolDriver::vote_of(const Attempt& attempt) const {
    const WorkerDriver& worker = *workers_.at(attempt.worker.value);
    const auto& webgpu = worker.capabilities().webgpu;
    Vote out;
    out.attempt = attempt.number;
    out.worker = attempt.worker;
    out.generation = attempt.generation;
    out.browser = worker.spec().type;
    out.browser_version = worker.version();
    if (webgpu.available && attempt.reply && attempt.reply->provider == Provider::webgpu)
        out.adapter = escape_remote_text(webgpu.vendor + ' ' + webgpu.architecture, 128);
    if (!attempt.reply) return out;
    out.provider = attempt.reply->provider;
    out.digest = digest_of(attempt.reply->tensors);
    return out;
}

void PoolDriver::perform(const core::CountVotes& action) {
    core::VotesCounted counted{.request = action.request, .verdict = VoteVerdict::undecided};
    const auto found = requests_.find(action.request.value);
    if (found == requests_.end()) return feed(counted);
    Pending& pending = found->second;
    std::vector<std::span<const Tensor>> answers;
    Votes votes;
    if (pending.votes) votes.asked = pending.votes->asked;
    for (std::size_t i = 0; i < action.count; ++i) {
        const Attempt* const attempt = pending.find(action.attempts[i]);
        if (attempt == nullptr || !attempt->reply) return feed(counted); // a bug: nothing is agreed
        answers.emplace_back(attempt->reply->tensors);
        votes.answers.push_back(vote_of(*attempt));
    }
    const VoteReport report = core::count_votes(answers, config_.vote);
    counted.verdict = report.verdict;
    if (report.answer) counted.chosen = action.attempts[*report.answer];
    for (std::size_t i = 0; i < report.ballots.size(); ++i) {
        const bool agrees = report.ballots[i].agrees() && report.ballots[i].other_decisions == 0;
        votes.answers[i].agrees = agrees;
        if (agrees) counted.agreeing |= 1U << i;
    }
    votes.verdict = report.verdict;
    votes.text = report.text();
    pending.votes = std::make_unique<Votes>(std::move(votes));
    feed(counted);
}

/// With the fingerprints of who dissents and of one that agrees.
void PoolDriver::tell_dissent(RequestId id, const Votes& votes, Errc code) {
    const Vote* right = nullptr;
    for (const Vote& one : votes.answers)
        if (one.agrees && right == nullptr) right = &one;
    for (const Vote& one : votes.answers) {
        if (one.agrees || votes.answers.size() < 2) continue;
        const Vote* const other = right != nullptr            ? right
                                  : &one != &votes.answers[0] ? &votes.answers[0]
                                                              : &votes.answers[1];
        PoolEvent event;
        event.kind = PoolEvent::Kind::answers_disagree;
        event.worker = one.worker;
        event.generation = one.generation;
        event.browser = one.browser;
        event.request = id;
        event.code = code;
        event.detail = one.fingerprint() + " against " + other->fingerprint();
        event.diagnostics.message = votes.text;
        event.diagnostics.remedy = "a worker that goes on dissenting is restarted by itself";
        tell(std::move(event));
    }
}

} // namespace everpool::facade
