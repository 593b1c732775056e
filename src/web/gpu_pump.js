// Everpool worker page: hurries the GPU's answers along in Firefox.
// SPDX-License-Identifier: BSL-1.0
//
// Firefox looks for finished GPU work every 100 ms, unless something is submitted meanwhile. While
// a GPU answer is awaited, empty submissions from a MessageChannel loop bring it after 0.4 to 3 ms
// instead of 100. Other browsers do not need it, and there this does nothing.

import { pump_eager_ms, pump_slow_ms } from './limits.js';

export class GpuPump {
  #is_needed;
  #awaited = new Map(); // device -> number of answers awaited
  #channel = null;
  #eager_until = 0;

  constructor(engine_name) {
    this.#is_needed = engine_name === 'firefox';
  }

  /** Awaits `answer`, which the queue of `device` has to bring. */
  async hurry(device, answer) {
    if (!this.#is_needed || !device) return answer;
    this.#awaited.set(device, (this.#awaited.get(device) ?? 0) + 1);
    this.#eager_until = performance.now() + pump_eager_ms;
    if (this.#channel === null) this.#begin();
    try {
      return await answer;
    } finally {
      const left = this.#awaited.get(device) - 1;
      if (left > 0) this.#awaited.set(device, left);
      else this.#awaited.delete(device);
    }
  }

  #begin() {
    this.#channel = new MessageChannel();
    this.#channel.port1.onmessage = () => this.#turn();
    this.#turn();
  }

  #turn() {
    if (this.#awaited.size === 0) {
      this.#channel.port1.close();
      this.#channel = null;
      return;
    }
    try {
      for (const device of this.#awaited.keys()) device.queue.submit([]);
    } catch {
      // A lost device: whoever awaits its answer learns it from the device itself.
    }
    // A long computation is not brought forward by it, so it need not cost a whole core.
    if (performance.now() < this.#eager_until) this.#channel.port2.postMessage(0);
    else setTimeout(() => this.#channel.port2.postMessage(0), pump_slow_ms);
  }
}
