// Parts of scenario_recovery: what hosts that are killed have said, and what it comes to.
// SPDX-License-Identifier: BSL-1.0
//
// A host writes one line a step, so that all it knew is there when it dies:
//
//     nest <path>                   its browsers' directory; all its browsers are ready
//     left <count>                  so many operations of earlier hosts it has found under way
//     asked <digest> <sample>       about to be handed to the pool: inputs, and the sample whose
//                                   outputs are due
//     answered <digest> <what>      its caller was told
//     recovered <digest> <what>     its pool told it what became of an earlier host's operation
//     ready                         it has had its share of answers
//
// `what` is the sample whose outputs came, `none` if they are no sample's, `error` if there are
// none. Each operation has inputs of its own (numbered()), so that the digest says which one it is:
// of its id in the pool's state its caller is told nothing.
#pragma once

#include "facade/kept_request.hpp"
#include "recovery_load.hpp"

#include <everpool/everpool.hpp>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace scenario {

/// The sample's inputs, with the number in the lowest bits of their first 64 values: another
/// digest, and an answer that differs by far less than is tolerated. \pre 64 values of float32
inline std::vector<everpool::Tensor> numbered(const std::vector<everpool::Tensor>& inputs,
                                              std::uint64_t number) {
    std::vector<everpool::Tensor> out = inputs;
    const auto values = inputs.at(0).as<float>();
    std::vector<float> changed(values.begin(), values.end());
    for (std::size_t i = 0; i < 64; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(changed.at(i));
        changed[i] =
            std::bit_cast<float>((bits & ~1U) | static_cast<std::uint32_t>(number >> i & 1U));
    }
    out[0] = everpool::Tensor::of<float>(inputs[0].name, inputs[0].shape, changed);
    return out;
}

/// One write a line: what was written is the parent's, whenever this process dies.
inline void print_line(const std::string& line) {
    if (::write(STDOUT_FILENO, (line + '\n').c_str(), line.size() + 1) < 0) std::exit(1);
}

/// `what` of a line, see above.
inline std::string answer_in_words(const everpool::tests::ModelSamples& model,
                                   everpool::error_code ec, const everpool::Result& result) {
    if (ec) return "error";
    for (std::size_t i = 0; i < model.samples.size(); ++i)
        if (everpool::tests::largest_difference(result.outputs, model.samples[i].outputs) <= 1e-4)
            return std::to_string(i);
    return "none";
}

/// The parent's account of all its hosts.
class HostJournal {
public:
    /// What follows is said by the next host.
    void begin_life() {
        ++life_;
        recovered_ = left_ = 0;
    }

    void add(const std::string& line) {
        std::istringstream in(line);
        std::string step, digest, what;
        in >> step >> digest >> what;
        if (step == "left") left_all_ += left_ = std::stoul(digest);
        if (step == "asked") operations_[digest] = {.due = what, .life = life_};
        if (step != "answered" && step != "recovered") return;
        Operation& operation = operations_[digest];
        operation.is_settled = true;
        if (step == "recovered" && what != "error") ++recovered_;
        if (what == "error") ++lost_;
        else if (what != operation.due) ++wrong_;
        if (what != "error" && operation.delivered++ > 0) ++twice_;
    }

    /// Operations of hosts before it that this host has executed.
    [[nodiscard]] std::size_t recovered() const noexcept { return recovered_; }
    /// So many it has found in its state. A kill may leave none: callers who are answered together,
    /// when their records are durable, ask again together.
    [[nodiscard]] std::size_t left() const noexcept { return left_; }
    [[nodiscard]] std::size_t left_to_all() const noexcept { return left_all_; }
    [[nodiscard]] std::size_t lost() const noexcept { return lost_; }
    /// To any host: answered to one and executed again for a later one, or told to two.
    [[nodiscard]] std::size_t twice() const noexcept { return twice_; }
    [[nodiscard]] std::size_t wrong() const noexcept { return wrong_; }

    /// Of the hosts that had a successor: handed to the pool, and never heard of again.
    [[nodiscard]] std::size_t unheard_of() const {
        std::size_t out = 0;
        for (const auto& [digest, one] : operations_)
            if (one.life < life_ && !one.is_settled) ++out;
        return out;
    }

private:
    struct Operation {
        std::string due{}; ///< the sample whose outputs it must have
        std::size_t life{0};
        std::size_t delivered{0};
        bool is_settled{false};
    };

    std::map<std::string, Operation> operations_; ///< by digest
    std::size_t life_{0}, recovered_{0}, left_{0}, left_all_{0};
    std::size_t lost_{0}, twice_{0}, wrong_{0};
};

} // namespace scenario
