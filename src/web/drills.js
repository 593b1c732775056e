// Everpool worker page: how the compute thread is broken on purpose (everpool::FaultInjector).
// SPDX-License-Identifier: BSL-1.0
//
// Not loaded before a drill asks for it. A drill reaches the page as an event on its window, which
// the host makes over the browser's control channel: no connection of the page carries it, and no
// operation module, which runs in the compute thread, sees the window.

import { Kind, decode, encode } from './protocol.js';

const mebibyte_of_numbers = 131072;

/** Does it at once, or prepares that the next use does it. `scope` is globalThis. */
export function break_thread({ fault, ...how }, scope = globalThis) {
  switch (fault) {
    case 'worker_loop':
      return loop(how.ms);
    case 'oom':
      return fill_memory(how.mebibytes);
    case 'device_destroy':
      return destroy_at_use(scope.GPUDevice, 'createCommandEncoder');
    case 'context_lost':
      return destroy_at_use(scope.MLContext, 'dispatch');
    case 'wrong_answer':
      return falsify(scope.WebSocket, how.factor);
    default:
      throw new Error(`no drill is called '${fault}'`);
  }
}

/** `ms` null: for ever. */
function loop(ms) {
  const end = ms === null ? Infinity : performance.now() + ms;
  while (performance.now() < end);
}

/** Numbers are kept in the engine's own heap, unlike the bytes of an ArrayBuffer. */
function fill_memory(mebibytes) {
  const full = [];
  for (let i = 0; i < mebibytes; ++i) full.push(new Array(mebibyte_of_numbers).fill(i + 0.5));
}

/** The method is called once more as ever, and then what it was called on is destroyed. */
function destroy_at_use({ prototype }, method) {
  const use = prototype[method];
  prototype[method] = function (...given) {
    prototype[method] = use;
    const got = use.apply(this, given);
    this.destroy();
    return got;
  };
}

/** Every float32 of a model's or shader's answer becomes `factor` times what it is. */
function falsify({ prototype }, factor) {
  const send = prototype.send;
  prototype.send = function (frame) {
    return send.call(this, falsified(frame, factor));
  };
}

/** Pure. Frames that are no such answers stay as they are. */
export function falsified(frame, factor) {
  if (!(frame instanceof ArrayBuffer)) return frame;
  const { kind, header, tensors } = decode(frame);
  if (kind !== Kind.result || header.provider === undefined) return frame;
  const wrong = tensors.map((tensor) =>
    tensor.dtype === 'float32'
      ? { ...tensor, data: tensor.data.map((value) => value * factor) }
      : tensor,
  );
  return encode(kind, header, wrong);
}
