// Tests: access to files as a user who is not root.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/fsuid.h>
#include <sys/types.h>

namespace everpool::tests {

/// For this thread, as long as it lives. Root alone can become another user; any other user is an
/// ordinary one already.
class OrdinaryUser {
public:
    static constexpr uid_t nobody = 65534;

    OrdinaryUser() : before_(::setfsuid(nobody)) {}
    OrdinaryUser(const OrdinaryUser&) = delete;
    OrdinaryUser& operator=(const OrdinaryUser&) = delete;
    ~OrdinaryUser() { ::setfsuid(static_cast<uid_t>(before_)); }

private:
    int before_;
};

} // namespace everpool::tests
