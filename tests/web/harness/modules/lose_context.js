// An operation module that makes the next use of a WebNN context lose it, and keeps the browser from
// telling of it: `lost` of the contexts that are made from now on stays open for ever.
// SPDX-License-Identifier: BSL-1.0
import { break_thread } from '/everpool/drills.js';

export function run() {
  Object.defineProperty(MLContext.prototype, 'lost', { get: () => new Promise(() => {}) });
  break_thread({ fault: 'context_lost' });
  return { outputs: {} };
}
