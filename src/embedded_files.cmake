# What the bridge serves out of the library itself: the worker page and onnxruntime-web.
# SPDX-License-Identifier: BSL-1.0
