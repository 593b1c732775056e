// Everpool wire: messages to bytes and back.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/wire/decode.hpp"
#include "everpool/wire/encode.hpp"
