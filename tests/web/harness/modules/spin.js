// An operation module that keeps its thread busy for parameters.ms, as a large model does, and says
// when: nothing else can run in the compute thread meanwhile.
// SPDX-License-Identifier: BSL-1.0
export async function run(_inputs, { parameters }) {
  const end = performance.now() + parameters.ms;
  while (performance.now() < end);
  return { outputs: {} };
}
