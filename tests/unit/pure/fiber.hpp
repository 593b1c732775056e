// A function that runs on a stack of its own, and is left and resumed where we say.
// SPDX-License-Identifier: BSL-1.0
//
// The sanitizers keep a shadow of the stack and are told of each switch, else they see ghosts.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EVERPOOL_TSAN_FIBERS
#include <sanitizer/tsan_interface.h>
#endif
#if __has_feature(address_sanitizer)
#define EVERPOOL_ASAN_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif
#endif

namespace everpool::test {

/// The stack that is there already, or one of its own.
class Fiber {
public:
    Fiber() {
#ifdef EVERPOOL_TSAN_FIBERS
        tsan_ = __tsan_get_current_fiber();
#endif
    }
    /// Begins at the first switch to it. `body` switches away before it returns, and when it does
    /// return, it is run again.
    explicit Fiber(std::function<void()> body)
        : body_(std::move(body)), stack_(std::make_unique<std::byte[]>(stack_bytes)) {
#ifdef EVERPOOL_TSAN_FIBERS
        tsan_ = __tsan_create_fiber(0);
#endif
        getcontext(&context_);
        context_.uc_stack.ss_sp = stack_.get();
        context_.uc_stack.ss_size = stack_bytes;
        context_.uc_link = nullptr;
        const auto address = reinterpret_cast<std::uintptr_t>(this);
        makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                    static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
    }
    ~Fiber() {
#ifdef EVERPOOL_TSAN_FIBERS
        if (stack_ != nullptr) __tsan_destroy_fiber(tsan_);
#endif
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// Leaves this fiber, which is running, for `to`. Returns when somebody switches back.
    void switch_to(Fiber& to) {
        to.came_from_ = this;
#ifdef EVERPOOL_TSAN_FIBERS
        __tsan_switch_to_fiber(to.tsan_, 0);
#endif
#ifdef EVERPOOL_ASAN_FIBERS
        __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.bytes_);
#endif
        swapcontext(&context_, &to.context_);
        arrive();
    }

private:
    static constexpr std::size_t stack_bytes = 256 * 1024;

    static void enter(unsigned high, unsigned low) {
        auto* const self = reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | low);
        self->arrive();
        for (;;) self->body_();
    }
    void arrive() {
#ifdef EVERPOOL_ASAN_FIBERS
        __sanitizer_finish_switch_fiber(fake_stack_, &came_from_->bottom_, &came_from_->bytes_);
        if (stack_ != nullptr) {
            bottom_ = stack_.get();
            bytes_ = stack_bytes;
        }
#endif
    }

    ucontext_t context_{};
    std::function<void()> body_;
    std::unique_ptr<std::byte[]> stack_;
    Fiber* came_from_{nullptr};
#ifdef EVERPOOL_TSAN_FIBERS
    void* tsan_{nullptr};
#endif
#ifdef EVERPOOL_ASAN_FIBERS
    void* fake_stack_{nullptr};
    const void* bottom_{stack_.get()};
    std::size_t bytes_{stack_bytes};
#endif
};

} // namespace everpool::test
