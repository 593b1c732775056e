// Everpool worker page: bytes to messages and back. Pure: no DOM, no WebSocket.
// SPDX-License-Identifier: BSL-1.0
//
// The protocol is described in include/everpool/wire/README.md, the numbers below are those of
// include/everpool/wire/limits.hpp, and the golden messages in tests/vectors bind both sides.
// Tensors of a decoded message are views of the received buffer; nothing is copied.

import { bytes_of, is_data_type, tensor_bytes, typed_data } from './tensor_data.js';

export const Kind = Object.freeze({
  hello: 1,
  ready: 2,
  load_model: 3,
  progress: 4,
  unload_model: 5,
  run: 6,
  result: 7,
  error: 8,
  ping: 9,
  pong: 10,
  cancel: 11,
  drain: 12,
  bye: 13,
  event: 14,
});

export const Limits = Object.freeze({
  header_bytes_max: 1 << 20,
  tensor_count_max: 1024,
  dimension_count_max: 16,
  name_bytes_max: 1024,
});

const prefix_bytes = 16;
const magic = 0x31505645; // "EVP1", little-endian
const version = 1;
const kind_max = 14;

const padded = (bytes) => Math.ceil(bytes / 8) * 8;
const encoder = new TextEncoder();
// Without ignoreBOM it would swallow a byte order mark, which has no place in JSON.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A frame that is not everpool.v1. `fault` is a name of wire::DecodeResult. */
export class ProtocolError extends Error {
  constructor(fault, detail = '') {
    super(detail === '' ? fault : `${fault}: ${detail}`);
    this.name = 'ProtocolError';
    this.fault = fault;
  }
}

/**
 * One frame as an ArrayBuffer. `tensors` are {name, dtype, shape, data}; they replace what the
 * header says of tensors. @throws {ProtocolError} bad_tensor, header_too_large
 */
export function encode(kind, header, tensors = null) {
  const described = tensors?.map((tensor) => describe(tensor));
  const fields = described === undefined ? header : { ...header, tensors: described };
  const header_bytes = encoder.encode(well_formed_json(JSON.stringify(fields)));
  if (header_bytes.length > Limits.header_bytes_max) throw new ProtocolError('header_too_large');
  let at = padded(prefix_bytes + header_bytes.length);
  let frame_bytes = at;
  for (const { data } of tensors ?? []) frame_bytes += padded(data.byteLength);
  const frame = new ArrayBuffer(frame_bytes); // zeros, so the padding is done
  const bytes = new Uint8Array(frame);
  const view = new DataView(frame);
  view.setUint32(0, magic, true);
  view.setUint8(4, version);
  view.setUint8(5, kind);
  view.setUint32(8, header_bytes.length, true);
  bytes.set(header_bytes, prefix_bytes);
  for (const { data } of tensors ?? []) {
    bytes.set(bytes_of(data), at);
    at += padded(data.byteLength);
  }
  return frame;
}

/**
 * JSON.stringify writes half of a surrogate pair as an escape, which no UTF-8 reader takes. Such
 * halves become U+FFFD, as wherever text is encoded; an escaped backslash before "ud8" is no such.
 */
function well_formed_json(text) {
  if (!text.includes('\\ud')) return text;
  return text.replace(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) =>
    found.length === 2 ? found : '\ufffd',
  );
}

function describe({ name, dtype, shape, data }) {
  if (data.byteLength !== tensor_bytes(dtype, shape)) {
    throw new ProtocolError('bad_tensor', `${name} ${dtype}[${shape}]: ${data.byteLength} bytes`);
  }
  return { name, dtype, shape };
}

/**
 * {kind, header, tensors, frame} of a received ArrayBuffer, which `frame` is and the tensors view.
 * @throws {ProtocolError} if anything is not as the protocol has it
 */
export function decode(frame) {
  const { kind, header_end } = decode_prefix(frame);
  const header = decode_header(frame, header_end);
  const tensors = [];
  let at = padded(header_end);
  if (kind === Kind.run || kind === Kind.result) {
    if (!Array.isArray(header.tensors)) throw new ProtocolError('bad_field', 'tensors');
    if (header.tensors.length > Limits.tensor_count_max) {
      throw new ProtocolError('bad_field', 'tensors');
    }
    for (const entry of header.tensors) {
      const bytes = tensor_size(entry);
      if (padded(bytes) > frame.byteLength - at) throw new ProtocolError('length_mismatch');
      check_zeros(frame, at + bytes, at + padded(bytes));
      const { name, dtype, shape } = entry;
      const data = typed_data(dtype, new Uint8Array(frame, at, bytes));
      tensors.push({ name, dtype, shape, data });
      at += padded(bytes);
    }
  }
  if (at !== frame.byteLength) throw new ProtocolError('length_mismatch');
  return { kind, header, tensors, frame };
}

function decode_prefix(frame) {
  if (frame.byteLength < prefix_bytes) throw new ProtocolError('truncated');
  const view = new DataView(frame);
  if (view.getUint32(0, true) !== magic) throw new ProtocolError('bad_magic');
  if (view.getUint8(4) !== version) throw new ProtocolError('bad_version');
  const kind = view.getUint8(5);
  if (kind < 1 || kind > kind_max) throw new ProtocolError('unknown_kind');
  if (view.getUint16(6) !== 0 || view.getUint32(12) !== 0) throw new ProtocolError('bad_reserved');
  const header_bytes = view.getUint32(8, true);
  if (header_bytes > Limits.header_bytes_max) throw new ProtocolError('header_too_large');
  const header_end = prefix_bytes + header_bytes;
  if (padded(header_end) > frame.byteLength) throw new ProtocolError('truncated');
  check_zeros(frame, header_end, padded(header_end));
  return { kind, header_end };
}

function decode_header(frame, header_end) {
  let header;
  try {
    header = JSON.parse(
      decoder.decode(new Uint8Array(frame, prefix_bytes, header_end - prefix_bytes)),
    );
  } catch {
    throw new ProtocolError('malformed_json');
  }
  if (header === null || typeof header !== 'object' || Array.isArray(header)) {
    throw new ProtocolError('malformed_json');
  }
  return header;
}

function tensor_size(entry) {
  const { name, dtype, shape } = entry ?? {};
  const is_fine =
    typeof name === 'string' &&
    is_short(name) &&
    is_data_type(dtype) &&
    Array.isArray(shape) &&
    shape.length <= Limits.dimension_count_max;
  const bytes = is_fine ? tensor_bytes(dtype, shape) : NaN;
  if (!Number.isSafeInteger(bytes)) throw new ProtocolError('bad_tensor');
  return bytes;
}

/** The limit counts bytes; a character has three at most (and a surrogate pair four). */
function is_short(name) {
  if (name.length * 3 <= Limits.name_bytes_max) return true;
  return encoder.encode(name).length <= Limits.name_bytes_max;
}

function check_zeros(frame, from, to) {
  const bytes = new Uint8Array(frame, from, to - from);
  if (bytes.some((byte) => byte !== 0)) throw new ProtocolError('bad_padding');
}
