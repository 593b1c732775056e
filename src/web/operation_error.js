// Everpool worker page: why an operation has no result.
// SPDX-License-Identifier: BSL-1.0
//
// An OperationError carries the code that the host branches on (an Errc's name) beside the words
// for a person. Whatever else is thrown inside an operation becomes `operation_failed`.

import { text_bytes_max } from './limits.js';

export class OperationError extends Error {
  /** @param {string} code an Errc's name */
  constructor(code, message) {
    super(message);
    this.name = 'OperationError';
    this.code = code;
  }
}

/** Without halves of surrogate pairs, which JSON can carry but the host refuses. */
export function well_formed_text(text) {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}

/**
 * Cuts `text` so that it has at most `bytes_max` bytes as UTF-8; a cut text ends in "...". The
 * result is well-formed.
 */
export function bounded_text(text, bytes_max = text_bytes_max) {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytes_max) return new TextDecoder().decode(bytes);
  let end = bytes_max - 3;
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) --end; // not in the middle of a character
  return new TextDecoder().decode(bytes.subarray(0, end)) + '...';
}

/** The words of whatever was thrown, bounded. Never throws itself. */
export function words_of(thrown) {
  try {
    if (thrown instanceof OperationError) return bounded_text(thrown.message);
    if (
      thrown instanceof Error ||
      (typeof DOMException === 'function' && thrown instanceof DOMException)
    ) {
      const named = thrown.name && thrown.name !== 'Error' ? `${thrown.name}: ` : '';
      return bounded_text(named + thrown.message);
    }
    return bounded_text(String(thrown));
  } catch {
    return 'something was thrown that cannot be shown';
  }
}

/** What the session is told about a failed task: {code, message}. */
export function error_outcome(thrown) {
  const code = thrown instanceof OperationError ? thrown.code : 'operation_failed';
  return { error: { code, message: words_of(thrown) } };
}
