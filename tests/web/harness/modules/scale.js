// An operation module: multiplies every element of every input.
// SPDX-License-Identifier: BSL-1.0
let calls = 0;

export async function run(inputs, { parameters, log }) {
  if (parameters.fail) throw new RangeError(parameters.fail);
  log(`scaling by ${parameters.factor}`);
  calls += 1;
  const outputs = {};
  for (const [name, { dtype, shape, data }] of Object.entries(inputs)) {
    outputs[name] = { dtype, shape, data: data.map((value) => value * parameters.factor) };
  }
  return { outputs, info: { calls } };
}
