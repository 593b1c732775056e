// Everpool core: a map from 64-bit keys to records that is copied in O(1).
// SPDX-License-Identifier: BSL-1.0
//
// A radix tree. Inner nodes have 16 children; leaves have the records of 2^leaf_bits neighbouring
// keys side by side. Levels at which all keys agree are left out (path compression), so that ids
// that begin at 10^18 cost no more than ids that begin at 1, and the tree's shape follows from its
// keys alone: two tables with the same keys have the same shape, whatever was done to them before.
// Iteration is in the order of keys.
//
// Copy on write. `freeze()` gives a CowView: it shares all nodes and never changes. The table goes
// on by copying those nodes on the path to a record that it is going to change; the next change
// near there finds them its own. Whose a node is says its *epoch*, not its use count:
//
//     every node that a table can reach has an epoch <= the table's;
//     a node of exactly the table's epoch can be reached by that table alone.
//
// New nodes get the table's epoch, freeze() raises the epoch by one, and a table that takes over a
// view begins one epoch after the view's. A use count would have to be read while readers in other
// threads let go of their views; an epoch is written before a node is shared, and never again. So:
//
//   1. A reader reads what is reachable from its view. Nothing of that is ever written again, as
//      all of it has an epoch below the table's. Readers take no lock and need no fence of ours.
//   2. Handing a view to another thread must be synchronised, like that of any other object.
//   3. A view that is let go of last frees the nodes that only it had; shared_ptr's count orders
//      that after the last read.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace everpool::core {

template <class T, unsigned leaf_bits>
class CowTable;

/// What CowTable and CowView read alike.
template <class T, unsigned leaf_bits>
class CowView {
public:
    using Key = std::uint64_t;
    using Record = T;
    using Pointer = const T*;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }

    /// Null if there is none. Valid until the table changes; in a view, as long as that lives.
    [[nodiscard]] const T* find(Key key) const noexcept {
        const Node* node = root_.get();
        while (node != nullptr && node->level != 0) {
            const auto& inner = static_cast<const Inner&>(*node);
            node = inner.children[inner.index_of(key)].get();
        }
        // Levels that were left out are compared here, all at once.
        if (node == nullptr || !node->covers(key)) return nullptr;
        const auto& record = static_cast<const Leaf*>(node)->records[slot_of(key)];
        return record ? &*record : nullptr;
    }

    /// Calls visit(key, record) in the order of keys.
    template <class Visitor>
    void visit(Visitor&& visitor) const {
        visit_node(root_.get(), visitor);
    }

    /// Calls visit(key, const T* in a, const T* in b) for each record that differs or is in one of
    /// the two only (then the other pointer is null). What both share is passed over: the cost
    /// follows the difference if one has grown out of the other.
    template <class Visitor>
    static void visit_differences(const CowView& a, const CowView& b, Visitor&& visitor) {
        compare(a.root_.get(), b.root_.get(), visitor);
    }

protected:
    static constexpr unsigned fan_bits = 4, fan = 1U << fan_bits, leaf_size = 1U << leaf_bits;

    /// Covers the keys that agree with `first_key` above the node's span. Level 0: a leaf.
    struct Node {
        std::uint64_t epoch;
        Key first_key; ///< the lowest key that it covers
        unsigned level;

        /// How many low bits of a key are free below this node; may exceed 63.
        [[nodiscard]] unsigned span() const noexcept { return leaf_bits + level * fan_bits; }
        [[nodiscard]] bool covers(Key key) const noexcept {
            return span() >= 64 || (key ^ first_key) >> span() == 0;
        }
    };
    using NodePtr = std::shared_ptr<Node>;

    struct Inner : Node {
        std::array<NodePtr, fan> children{};
        [[nodiscard]] unsigned index_of(Key key) const noexcept {
            return static_cast<unsigned>(key >> (this->span() - fan_bits)) & (fan - 1);
        }
    };
    struct Leaf : Node {
        std::array<std::optional<T>, leaf_size> records{};
    };

    [[nodiscard]] static unsigned slot_of(Key key) noexcept {
        return static_cast<unsigned>(key & (leaf_size - 1));
    }
    [[nodiscard]] static const Inner& inner(const Node& node) noexcept {
        return static_cast<const Inner&>(node);
    }
    [[nodiscard]] static const Leaf& leaf(const Node& node) noexcept {
        return static_cast<const Leaf&>(node);
    }

    template <class Visitor>
    static void visit_node(const Node* node, Visitor& visitor) {
        if (node == nullptr) return;
        if (node->level != 0) {
            for (const NodePtr& child : inner(*node).children) visit_node(child.get(), visitor);
            return;
        }
        for (unsigned slot = 0; slot < leaf_size; ++slot)
            if (const auto& record = leaf(*node).records[slot])
                visitor(node->first_key + slot, *record);
    }

    /// All of `node`, as missing in the other table.
    template <class Visitor>
    static void only_in(const Node* node, bool is_in_a, Visitor& visitor) {
        const auto report = [&visitor, is_in_a](Key key, const T& record) {
            const T* const none = nullptr;
            visitor(key, is_in_a ? &record : none, is_in_a ? none : &record);
        };
        visit_node(node, report);
    }

    template <class Visitor>
    static void compare(const Node* a, const Node* b, Visitor& visitor) {
        if (a == b) return;
        if (a == nullptr || b == nullptr)
            return only_in(a == nullptr ? b : a, b == nullptr, visitor);
        if (a->level == b->level && a->first_key == b->first_key) {
            if (a->level == 0) return compare_leaves(leaf(*a), leaf(*b), visitor);
            for (unsigned i = 0; i < fan; ++i)
                compare(inner(*a).children[i].get(), inner(*b).children[i].get(), visitor);
        } else if (a->level > b->level && a->covers(b->first_key)) {
            for (unsigned i = 0; i < fan; ++i)
                compare(inner(*a).children[i].get(),
                        i == inner(*a).index_of(b->first_key) ? b : nullptr, visitor);
        } else if (b->level > a->level && b->covers(a->first_key)) {
            for (unsigned i = 0; i < fan; ++i)
                compare(i == inner(*b).index_of(a->first_key) ? a : nullptr,
                        inner(*b).children[i].get(), visitor);
        } else { // they cover no key in common
            if (a->first_key < b->first_key) only_in(a, true, visitor);
            only_in(b, false, visitor);
            if (b->first_key < a->first_key) only_in(a, true, visitor);
        }
    }

    template <class Visitor>
    static void compare_leaves(const Leaf& a, const Leaf& b, Visitor& visitor) {
        for (unsigned slot = 0; slot < leaf_size; ++slot) {
            const auto &in_a = a.records[slot], &in_b = b.records[slot];
            if (in_a != in_b)
                visitor(a.first_key + slot, in_a ? &*in_a : nullptr, in_b ? &*in_b : nullptr);
        }
    }

    NodePtr root_{};
    std::size_t size_{0};
    std::uint64_t epoch_{1}; ///< of the table; in a view: above that of each node in it

    friend class CowTable<T, leaf_bits>;
};

/// The table that is written. One owner, one thread at a time; views of it go anywhere. What was
/// moved from may be assigned to or destroyed. What throws for want of memory has changed no
/// record; erase() of a key after edit() of it, without freeze() in between, needs none.
template <class T, unsigned leaf_bits>
class CowTable : private CowView<T, leaf_bits> { // private: sliced, it would be a view that changes
    using View = CowView<T, leaf_bits>;

public:
    using typename View::Key;
    using typename View::Record;
    using View::find;
    using View::is_empty;
    using View::size;
    using View::visit;

    CowTable() = default;
    /// Goes on from a view, which stays as it is.
    explicit CowTable(const View& view) noexcept : View(view) { ++this->epoch_; }
    CowTable(CowTable&&) noexcept = default;
    CowTable& operator=(CowTable&&) noexcept = default;
    // A plain copy would leave two tables that each take the shared nodes for their own.
    CowTable(const CowTable&) = delete;
    CowTable& operator=(const CowTable&) = delete;

    /// O(1). From now on the first change of each node copies it.
    [[nodiscard]] View freeze() noexcept {
        ++this->epoch_;
        return *this;
    }

    /// For writing. \pre the key is there
    [[nodiscard]] T& edit(Key key) {
        assert(find(key) != nullptr);
        NodePtr* place = &this->root_;
        while (own(*place).level != 0) place = &child_of(**place, key);
        return *record_of(**place, key);
    }

    /// \pre the key is not there
    T& insert(Key key, T record) {
        assert(find(key) == nullptr);
        NodePtr* place = &this->root_;
        while (*place != nullptr && (*place)->covers(key) && own(*place).level != 0)
            place = &child_of(**place, key);
        if (*place == nullptr) *place = new_leaf(key);
        else if (!(*place)->covers(key)) place = &fork(*place, key);
        ++this->size_;
        return record_of(**place, key).emplace(std::move(record));
    }

    /// \pre the key is there
    void erase(Key key) {
        assert(find(key) != nullptr);
        erase_below(this->root_, key);
        --this->size_;
    }

private:
    using typename View::Inner;
    using typename View::Leaf;
    using typename View::Node;
    using typename View::NodePtr;

    [[nodiscard]] static NodePtr& child_of(Node& node, Key key) noexcept {
        auto& inner = static_cast<Inner&>(node);
        return inner.children[inner.index_of(key)];
    }
    [[nodiscard]] static std::optional<T>& record_of(Node& node, Key key) noexcept {
        return static_cast<Leaf&>(node).records[View::slot_of(key)];
    }

    /// The node, which only this table can reach from now on.
    Node& own(NodePtr& place) {
        if (place->epoch != this->epoch_) {
            if (place->level == 0) place = std::make_shared<Leaf>(View::leaf(*place));
            else place = std::make_shared<Inner>(View::inner(*place));
            place->epoch = this->epoch_;
        }
        return *place;
    }

    template <class Kind>
    [[nodiscard]] std::shared_ptr<Kind> new_node(Key key, unsigned level) const {
        auto node = std::make_shared<Kind>();
        node->epoch = this->epoch_;
        node->level = level;
        node->first_key = node->span() >= 64 ? 0 : key >> node->span() << node->span();
        return node;
    }
    [[nodiscard]] NodePtr new_leaf(Key key) const { return new_node<Leaf>(key, 0); }

    /// Puts an inner node in `place`, with what was there and a new leaf for `key` below it.
    /// \pre the node in `place` does not cover the key
    NodePtr& fork(NodePtr& place, Key key) {
        const Key difference = key ^ place->first_key;
        const auto highest_bit = static_cast<unsigned>(63 - std::countl_zero(difference));
        const auto above = new_node<Inner>(key, (highest_bit - leaf_bits) / View::fan_bits + 1);
        NodePtr leaf = new_leaf(key); // there may be no memory for it: then nothing has changed
        above->children[above->index_of(place->first_key)] = std::move(place);
        place = above;
        NodePtr& beside = above->children[above->index_of(key)];
        beside = std::move(leaf);
        return beside;
    }

    void erase_below(NodePtr& place, Key key) {
        Node& node = own(place);
        if (node.level == 0) {
            record_of(node, key).reset();
            for (const auto& record : static_cast<Leaf&>(node).records)
                if (record) return;
            place.reset();
            return;
        }
        NodePtr& child = child_of(node, key);
        erase_below(child, key);
        if (child != nullptr) return;
        // An inner node has two children at least, or the shape would tell of what was erased.
        NodePtr* last = nullptr;
        for (NodePtr& other : static_cast<Inner&>(node).children) {
            if (other == nullptr) continue;
            if (last != nullptr) return;
            last = &other;
        }
        NodePtr only = std::move(*last);
        place = std::move(only);
    }
};

} // namespace everpool::core
