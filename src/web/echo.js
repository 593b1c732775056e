// Everpool worker page: the shortest way from a run of `echo` to its result. Pure.
// SPDX-License-Identifier: BSL-1.0
//
// The answer to an echo is the frame that came, with the kind of a result: its header has the
// fields that a result must have, those of a run that a result has not are ignored by the host, and
// what a result may leave out (nothing was computed, nothing waited) is left out. So one byte is
// written and nothing is copied; at 16 MiB a copy would cost a sixth of the whole round trip.
//
// Echo is what a worker's speed is measured by, so even the decoding is spared where the frame is
// as the host's encoder writes it. Nothing is trusted by that: what comes back is what the host
// sent.

import { Kind } from './protocol.js';

const prefix = [0x45, 0x56, 0x50, 0x31, 1, Kind.run]; // "EVP1", version, kind
const kind_offset = 5;
const header_offset = 16;
const comma = 0x2c;
const operation = new TextEncoder().encode('"operation":"echo"');
const id_and_attempt_bytes_max = 64;

/**
 * True if `bytes` begin as a run of echo does: prefix, id, attempt, operation. False where it would
 * take decoding to tell.
 */
export function is_echo(bytes) {
  for (let i = 0; i < prefix.length; ++i) if (bytes[i] !== prefix[i]) return false;
  let at = header_offset;
  for (let commas = 0; commas < 2; ++at) {
    if (at >= header_offset + id_and_attempt_bytes_max) return false;
    if (bytes[at] === comma) ++commas;
  }
  for (let i = 0; i < operation.length; ++i) if (bytes[at + i] !== operation[i]) return false;
  return true;
}

/** Makes the bytes of a run of echo those of its result. */
export function turn_into_result(bytes) {
  bytes[kind_offset] = Kind.result;
}
