// Everpool: circuit breakers by key, made when they are first asked for.
// SPDX-License-Identifier: BSL-1.0
//
// Use it when there is not one peer but a set that nobody lists in advance: a breaker for each
// connection, for each model, or for each way to serve a model:
//
//     CircuitBreakerRegistry<WorkerId> by_connection{64};
//     CircuitBreakerRegistry<std::string> by_model{256};
//     CircuitBreakerRegistry<PlacementKey> by_placement{512};
//
//     if (auto breaker = by_model.get("bert", now))
//         if (auto permit = breaker->try_acquire(now)) ...
//
// Bounded: it holds at most `capacity` breakers. For one more, the least recently used one is
// dropped, with what it knew; the time of its use is that of its last get(). One that is in use,
// which is while anybody holds a Ref to it, is kept. If all are in use, get() gives an empty Ref,
// and the caller goes on without a breaker or not at all.
//
// Thread safety: everything from any thread. For a key that exists, get() and find() are lock-free
// and do not allocate: a walk along a chain, and a count of users that is raised and lowered. A key
// that is new waits for others that are new. Keep a Ref rather than asking again for each call: the
// walk costs more than the breaker. Lifetime: the registry outlives its Refs, and a Ref the permits
// of its breaker.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/circuit_breaker.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/time.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace everpool {

/// A way to serve a model: on this kind of browser, by this execution provider.
struct PlacementKey {
    BrowserType browser{};
    std::string model;
    Provider provider{};

    friend bool operator==(const PlacementKey&, const PlacementKey&) = default;
};

} // namespace everpool

template <>
struct std::hash<everpool::PlacementKey> {
    std::size_t operator()(const everpool::PlacementKey& key) const noexcept {
        std::uint64_t state = std::hash<std::string>{}(key.model) ^
                              static_cast<std::uint64_t>(key.browser) << 56 ^
                              static_cast<std::uint64_t>(key.provider) << 48;
        return static_cast<std::size_t>(everpool::core::splitmix64(state));
    }
};

namespace everpool {

template <class Key, class Hash = std::hash<Key>>
class CircuitBreakerRegistry {
public:
    class Ref;
    using Listener = std::function<void(const Key&, const BreakerChange&)>;
    static constexpr std::size_t capacity_max = 65'536;

    /// All breakers get this config; the seed is mixed with the key's hash, so that they do not
    /// jitter alike. `on_change` is called as CircuitBreakerListener says. Throws
    /// std::invalid_argument if capacity is not 1 to 65536, or check_config() does.
    explicit CircuitBreakerRegistry(std::size_t capacity, CircuitBreakerConfig config = {},
                                    Listener on_change = {});
    CircuitBreakerRegistry(const CircuitBreakerRegistry&) = delete;
    CircuitBreakerRegistry& operator=(const CircuitBreakerRegistry&) = delete;

    /// The key's breaker, made if there is none yet. Empty if all places are in use. Only a new key
    /// can make it throw: std::bad_alloc, or what copying the key throws.
    [[nodiscard]] Ref get(const Key& key, TimePoint now);
    /// The key's breaker if there is one. Does not count as a use.
    [[nodiscard]] Ref find(const Key& key) noexcept { return find(key, hash_of(key)); }
    /// Calls visit(key, breaker) for each, in no particular order, while others come and go.
    template <class Visitor>
    void visit(Visitor visit);

    [[nodiscard]] std::size_t size() const noexcept { return size_.load(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// How many were dropped for a new one: if it keeps growing, the capacity is too small.
    [[nodiscard]] std::uint64_t dropped_count() const noexcept { return dropped_count_.load(); }

private:
    static constexpr std::uint32_t no_place = UINT32_MAX;
    static constexpr std::uint64_t live = std::uint64_t{1} << 32; ///< beside the number of users

    /// Key and breaker change only while it is not live and has no users.
    struct Place {
        std::atomic<std::uint64_t> users{0};
        std::atomic<std::uint64_t> hash{0};
        std::atomic<std::uint32_t> next{no_place}; ///< in the bucket's chain
        std::atomic<Duration::rep> last_used{0};
        std::optional<Key> key;
        std::optional<CircuitBreaker> breaker;

        bool enter() noexcept {
            std::uint64_t seen = users.load(std::memory_order_relaxed);
            while ((seen & live) != 0)
                if (users.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire))
                    return true;
            return false;
        }
        void leave() noexcept { users.fetch_sub(1, std::memory_order_release); }
    };

    /// Held by whoever adds a key. A flag and not a mutex: this floor has none, and it is held
    /// briefly.
    class Adding {
    public:
        explicit Adding(std::atomic_flag& flag) noexcept : flag_(flag) {
            while (flag_.test_and_set(std::memory_order_acquire)) flag_.wait(true);
        }
        ~Adding() {
            flag_.clear(std::memory_order_release);
            flag_.notify_one();
        }
        Adding(const Adding&) = delete;
        Adding& operator=(const Adding&) = delete;

    private:
        std::atomic_flag& flag_;
    };

    static std::size_t checked(std::size_t capacity) {
        if (capacity < 1 || capacity > capacity_max)
            throw std::invalid_argument("CircuitBreakerRegistry: capacity must be 1 to 65536");
        return capacity;
    }
    /// std::hash of an integer is often itself; the buckets want all bits.
    [[nodiscard]] static std::uint64_t hash_of(const Key& key) noexcept {
        std::uint64_t state = Hash{}(key);
        return core::splitmix64(state);
    }
    [[nodiscard]] std::atomic<std::uint32_t>& bucket_of(std::uint64_t hash) noexcept {
        return buckets_[hash & (bucket_count_ - 1)];
    }
    [[nodiscard]] Ref find(const Key& key, std::uint64_t hash) noexcept;
    [[nodiscard]] Ref add(const Key& key, std::uint64_t hash);
    bool drop_least_recently_used();
    void unlink(std::uint32_t index) noexcept;

    const std::size_t capacity_, bucket_count_;
    const CircuitBreakerConfig config_;
    const Listener on_change_;
    std::unique_ptr<Place[]> places_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> buckets_;
    std::vector<std::uint32_t> free_; ///< behind adding_
    std::atomic_flag adding_{};
    std::atomic<std::size_t> size_{0};
    std::atomic<std::uint64_t> dropped_count_{0};
};

/// The use of a breaker, which keeps it from being dropped. Move-only; one thread at a time.
template <class Key, class Hash>
class CircuitBreakerRegistry<Key, Hash>::Ref {
public:
    Ref() = default;
    Ref(Ref&& other) noexcept : place_(std::exchange(other.place_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept {
        Ref old(std::move(other));
        std::swap(place_, old.place_);
        return *this;
    }
    ~Ref() {
        if (place_ != nullptr) place_->leave();
    }
    [[nodiscard]] explicit operator bool() const noexcept { return place_ != nullptr; }
    /// \pre *this is true
    [[nodiscard]] CircuitBreaker* operator->() const noexcept { return &*place_->breaker; }
    [[nodiscard]] CircuitBreaker& operator*() const noexcept { return *place_->breaker; }
    [[nodiscard]] const Key& key() const noexcept { return *place_->key; }

private:
    friend class CircuitBreakerRegistry;
    explicit Ref(Place* place) noexcept : place_(place) {}
    Place* place_{nullptr};
};

// -------------------------------------------------------------------------------------------------

template <class Key, class Hash>
CircuitBreakerRegistry<Key, Hash>::CircuitBreakerRegistry(std::size_t capacity,
                                                          CircuitBreakerConfig config,
                                                          Listener on_change)
    : capacity_(checked(capacity)),
      bucket_count_(std::bit_ceil(capacity * 2)),
      config_((check_config(config), config)),
      on_change_(std::move(on_change)) {
    places_ = std::make_unique<Place[]>(capacity_);
    buckets_ = std::make_unique<std::atomic<std::uint32_t>[]>(bucket_count_);
    for (std::size_t i = 0; i < bucket_count_; ++i) buckets_[i].store(no_place);
    for (std::size_t i = capacity_; i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
}

template <class Key, class Hash>
auto CircuitBreakerRegistry<Key, Hash>::find(const Key& key, std::uint64_t hash) noexcept -> Ref {
    std::uint32_t index = bucket_of(hash).load(std::memory_order_acquire);
    // A place that is dropped and used again under our feet leads into another chain. Then the key
    // is not found, and get() asks once more behind the flag; it is only important to come to an
    // end.
    for (std::size_t i = 0; index != no_place && i < capacity_; ++i) {
        Place& place = places_[index];
        if (place.hash.load(std::memory_order_relaxed) == hash && place.enter()) {
            if (*place.key == key) return Ref(&place);
            place.leave();
        }
        index = place.next.load(std::memory_order_acquire);
    }
    return Ref();
}

template <class Key, class Hash>
auto CircuitBreakerRegistry<Key, Hash>::get(const Key& key, TimePoint now) -> Ref {
    const std::uint64_t hash = hash_of(key);
    Ref ref = find(key, hash);
    if (!ref) {
        const Adding adding(adding_);
        ref = find(key, hash);
        if (!ref) ref = add(key, hash);
    }
    if (ref) ref.place_->last_used.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    return ref;
}

/// \pre adding_ is held, and the key is not there
template <class Key, class Hash>
auto CircuitBreakerRegistry<Key, Hash>::add(const Key& key, std::uint64_t hash) -> Ref {
    if (free_.empty() && !drop_least_recently_used()) return Ref();
    const std::uint32_t index = free_.back();
    Place& place = places_[index];
    place.key.emplace(key);
    CircuitBreakerConfig config = config_;
    config.seed ^= hash;
    CircuitBreakerListener listener;
    if (on_change_)
        listener.on_change = [this, &place](const BreakerChange& change) {
            on_change_(*place.key, change); // the place is in use by whoever made the change
        };
    place.breaker.emplace(config, std::move(listener));
    free_.pop_back(); // from here on nothing throws
    place.hash.store(hash, std::memory_order_relaxed);
    place.next.store(bucket_of(hash).load(std::memory_order_relaxed), std::memory_order_relaxed);
    place.users.store(live + 1, std::memory_order_release);
    bucket_of(hash).store(index, std::memory_order_release);
    size_.fetch_add(1);
    return Ref(&place);
}

/// Makes a place free. False if all are in use. \pre adding_ is held
template <class Key, class Hash>
bool CircuitBreakerRegistry<Key, Hash>::drop_least_recently_used() {
    for (;;) {
        std::uint32_t oldest = no_place;
        for (std::uint32_t i = 0; i < capacity_; ++i) {
            if (places_[i].users.load(std::memory_order_relaxed) != live) continue;
            if (oldest == no_place || places_[i].last_used.load(std::memory_order_relaxed) <
                                          places_[oldest].last_used.load(std::memory_order_relaxed))
                oldest = i;
        }
        if (oldest == no_place) return false;
        std::uint64_t unused = live;
        if (!places_[oldest].users.compare_exchange_strong(unused, 0, std::memory_order_acquire))
            continue; // somebody has just begun to use it: the next one then
        unlink(oldest);
        places_[oldest].breaker.reset();
        places_[oldest].key.reset();
        free_.push_back(oldest);
        size_.fetch_sub(1);
        dropped_count_.fetch_add(1);
        return true;
    }
}

template <class Key, class Hash>
void CircuitBreakerRegistry<Key, Hash>::unlink(std::uint32_t index) noexcept {
    std::atomic<std::uint32_t>* link = &bucket_of(places_[index].hash.load());
    while (link->load(std::memory_order_relaxed) != index)
        link = &places_[link->load(std::memory_order_relaxed)].next;
    link->store(places_[index].next.load(std::memory_order_relaxed), std::memory_order_release);
}

template <class Key, class Hash>
template <class Visitor>
void CircuitBreakerRegistry<Key, Hash>::visit(Visitor visit) {
    for (std::size_t i = 0; i < capacity_; ++i) {
        if (!places_[i].enter()) continue;
        const Ref ref(&places_[i]);
        visit(ref.key(), *ref);
    }
}

} // namespace everpool
