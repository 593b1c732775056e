// A tensor has elements that onnxruntime-web has a name for.
// SPDX-License-Identifier: BSL-1.0
// expect: no tensor element of this type
#include <everpool/tensor.hpp>

#ifdef EVERPOOL_MISTAKE
using Element = long double;
#else
using Element = double;
#endif
const auto tensor = everpool::Tensor::of<Element>("x", {1}, {1});
