// An operation module that runs until it is cancelled.
// SPDX-License-Identifier: BSL-1.0
export function run(_inputs, { signal }) {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}
