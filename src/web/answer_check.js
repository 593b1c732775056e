// Everpool worker page: does an operation's answer fit the wire? Pure.
// SPDX-License-Identifier: BSL-1.0
//
// The host takes a frame beyond the wire's limits for a broken peer and drops the connection. A
// module's mistake, or a caller's long output name, must cost one operation and not the worker; so
// answers are checked before they are sent.

import { Limits } from './protocol.js';
import { data_fault, is_data_type } from './tensor_data.js';
import { frame_bytes_default, info_depth_max, signature_count_max } from './limits.js';
import { well_formed_text } from './operation_error.js';

const utf8_bytes = (text) => new TextEncoder().encode(text).length;

/**
 * What is wrong with {tensors, info} of a run's outcome, in words; null if nothing is. (What the
 * header adds to the frame is known only once that is encoded, see compute.js.)
 */
export function answer_fault({ tensors, info }, frame_bytes_max = frame_bytes_default) {
  if (tensors.length > Limits.tensor_count_max) {
    return `${tensors.length} outputs; ${Limits.tensor_count_max} at most`;
  }
  let bytes = 0;
  for (const [i, tensor] of tensors.entries()) {
    const fault = tensor_fault(tensor);
    if (fault !== null) return `output ${i}: ${fault}`;
    bytes += tensor.data.byteLength;
  }
  if (bytes > frame_bytes_max) {
    return `outputs of ${bytes} bytes; a frame takes ${frame_bytes_max}`;
  }
  return info === undefined ? null : info_fault(info);
}

/** Why the wire cannot carry these inputs or outputs of a model, in words; null if it can. */
export function signature_fault(specs) {
  if (specs.length > signature_count_max) {
    return `${specs.length} of them; ${signature_count_max} at most`;
  }
  for (const { name, dtype, shape } of specs) {
    const bytes = utf8_bytes(name);
    if (bytes > Limits.name_bytes_max) return `a name of ${bytes} bytes`;
    if (!is_data_type(dtype)) return `'${name}' is of type ${dtype}`;
    if (shape.length > Limits.dimension_count_max) {
      return `'${name}' has ${shape.length} dimensions; ${Limits.dimension_count_max} at most`;
    }
  }
  return null;
}

function tensor_fault(tensor) {
  const fault = data_fault(tensor);
  if (fault !== null) return fault;
  if (
    utf8_bytes(tensor.name) > Limits.name_bytes_max ||
    well_formed_text(tensor.name) !== tensor.name
  ) {
    return `its name is no text of at most ${Limits.name_bytes_max} bytes`;
  }
  if (tensor.shape.length > Limits.dimension_count_max) {
    return `${tensor.shape.length} dimensions; ${Limits.dimension_count_max} at most`;
  }
  return null;
}

function info_fault(info) {
  if (depth_of(info) > info_depth_max) return `an info deeper than ${info_depth_max} levels`;
  // Half of the header, so that the tensors' names and shapes have the other half.
  const bytes = utf8_bytes(JSON.stringify(info));
  const bytes_max = Limits.header_bytes_max / 2;
  return bytes > bytes_max ? `an info of ${bytes} bytes; ${bytes_max} at most` : null;
}

/** Levels of objects and arrays; no deeper than what would be refused anyway. */
function depth_of(value, seen = 0) {
  if (value === null || typeof value !== 'object' || seen > info_depth_max) return seen;
  return Object.values(value).reduce(
    (deepest, inner) => Math.max(deepest, depth_of(inner, seen + 1)),
    seen + 1,
  );
}
