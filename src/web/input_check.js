// Everpool worker page: do these tensors fit what the model takes? Pure.
// SPDX-License-Identifier: BSL-1.0
//
// onnxruntime-web's own words about a wrong input name neither what was expected nor what was
// given, and some mismatches make it fail in the middle of the graph. So inputs are checked before.

/** "x float32[1,?]"; a free dimension is -1. */
export function describe_tensor({ name, dtype, shape }) {
  const sizes = shape.map((size) => (size < 0 ? '?' : size));
  return `${name} ${dtype}[${sizes.join(',')}]`;
}

const quoted_names = (specs) => specs.map((spec) => `'${spec.name}'`).join(', ') || 'none';

/**
 * What is wrong with `tensors` for a model that takes `specs`: a sentence that names the input,
 * what was expected and what was given. null if nothing is.
 */
export function input_fault(model, specs, tensors) {
  for (let i = 0; i < tensors.length; ++i) {
    const tensor = tensors[i];
    const spec = specs.find((candidate) => candidate.name === tensor.name);
    if (spec === undefined) {
      return `model '${model}' has no input '${tensor.name}'; it takes ${quoted_names(specs)}`;
    }
    if (tensors.findIndex((other) => other.name === tensor.name) !== i) {
      return `model '${model}': input '${tensor.name}' was given twice`;
    }
    if (!is_accepted(spec, tensor)) {
      return (
        `model '${model}', input '${tensor.name}': expected ${describe_tensor(spec)}, ` +
        `got ${describe_tensor(tensor)}`
      );
    }
  }
  const missing = specs.filter((spec) => !tensors.some((tensor) => tensor.name === spec.name));
  if (missing.length === 0) return null;
  return (
    `model '${model}': input ${quoted_names(missing)} is missing; ` +
    `expected ${missing.map(describe_tensor).join(', ')}, got ${quoted_names(tensors)}`
  );
}

function is_accepted(spec, tensor) {
  if (spec.dtype !== tensor.dtype || spec.shape.length !== tensor.shape.length) return false;
  return spec.shape.every((dimension, i) => dimension < 0 || dimension === tensor.shape[i]);
}
