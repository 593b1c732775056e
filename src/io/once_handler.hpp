// Everpool doors: a completion handler of any type, to be called once, kept until then.
// SPDX-License-Identifier: BSL-1.0
//
// std::function wants copies, which Beast's operations do not allow; Asio's any_completion_handler
// would do, but its move assignment recurses for ever in Boost 1.81.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace everpool::io {

template <class... Args>
class OnceHandler {
public:
    OnceHandler() = default;
    template <class Handler>
    requires(!std::is_same_v<std::remove_cvref_t<Handler>, OnceHandler>)
        OnceHandler(Handler&& handler)
        : holder_(std::make_unique<Holder<std::remove_cvref_t<Handler>>>(
              std::forward<Handler>(handler))) {}

    explicit operator bool() const noexcept { return holder_ != nullptr; }

    /// Empty afterwards, and before the handler runs: it may well bring the next one.
    /// \pre not empty
    void operator()(Args... args) {
        const std::unique_ptr<Holding> holder = std::move(holder_);
        holder->call(std::move(args)...);
    }

private:
    struct Holding {
        virtual ~Holding() = default;
        virtual void call(Args... args) = 0;
    };
    template <class Handler>
    struct Holder final : Holding {
        template <class From>
        explicit Holder(From&& from) : handler(std::forward<From>(from)) {}
        void call(Args... args) override { std::move(handler)(std::move(args)...); }
        Handler handler;
    };
    std::unique_ptr<Holding> holder_;
};

} // namespace everpool::io
