// An operation module that leaves a promise behind which fails after the answer.
// SPDX-License-Identifier: BSL-1.0
export function run() {
  Promise.reject(new Error('nobody catches this'));
  return { outputs: {} };
}
