// Everpool worker page: operations that the host's user has written.
// SPDX-License-Identifier: BSL-1.0
//
// An operation module is an ES module that exports `async run(inputs, context)`; see README.md. It
// is imported once per compute thread, so what it keeps in module variables lasts until then.

import { OperationError, bounded_text, well_formed_text, words_of } from './operation_error.js';
import { bytes_of, data_fault } from './tensor_data.js';

export class Modules {
  #page_url;
  #imported = new Map(); // url -> promise of the module
  #import_module;

  /** Module URLs are relative to `page_url`. */
  constructor(page_url, import_module = (url) => import(url)) {
    this.#page_url = page_url;
    this.#import_module = import_module;
  }

  /** @returns the outcome of a run, see DataSession.on_done */
  async run(task) {
    const { operation, module_url, parameters = {}, model = '' } = task.header;
    if (!module_url) {
      throw new OperationError(
        'unknown_operation',
        `'${operation}' is neither built in nor a registered operation module`,
      );
    }
    const module = await this.#import(operation, new URL(module_url, this.#page_url).href);
    if (typeof module.run !== 'function') {
      throw new OperationError(
        'unknown_operation',
        `the module of operation '${operation}' exports no function 'run'`,
      );
    }
    const context = {
      parameters,
      model,
      signal: task.controller.signal,
      log: (text) => console.log(`[${operation}] ${bounded_text(String(text))}`),
    };
    const started = performance.now();
    const answer = await this.#call(module, inputs_by_name(task.tensors), context);
    return { ...check_answer(operation, answer), compute_ms: performance.now() - started };
  }

  async #import(operation, url) {
    let module = this.#imported.get(url);
    if (module === undefined) {
      module = this.#import_module(url);
      this.#imported.set(url, module);
    }
    try {
      return await module;
    } catch (thrown) {
      this.#imported.delete(url); // the file may be mended
      throw new OperationError(
        'operation_failed',
        `the module of operation '${operation}' cannot be imported: ${words_of(thrown)}`,
      );
    }
  }

  async #call(module, inputs, context) {
    if (context.signal.aborted) throw new OperationError('cancelled', 'cancelled before it ran');
    try {
      return await module.run(inputs, context);
    } catch (thrown) {
      if (!context.signal.aborted) throw thrown;
      throw new OperationError('cancelled', `cancelled while it ran: ${words_of(thrown)}`);
    }
  }
}

const inputs_by_name = (tensors) =>
  Object.fromEntries(tensors.map(({ name, dtype, shape, data }) => [name, { dtype, shape, data }]));

/** {outputs, info} as a module gives it -> {tensors, info} as the wire takes it. */
export function check_answer(operation, answer) {
  const fail = (what) => {
    throw new OperationError('operation_failed', `operation '${operation}' ${what}`);
  };
  if (answer === null || typeof answer !== 'object') fail('gave no {outputs} back');
  const { outputs = {}, info } = answer;
  if (outputs === null || typeof outputs !== 'object') fail('gave outputs that are no object');
  const listed = Array.isArray(outputs)
    ? outputs
    : Object.entries(outputs).map(([name, tensor]) => ({ ...tensor, name }));
  const tensors = listed.map((tensor, i) => {
    const fault = data_fault(tensor);
    if (fault !== null)
      fail(`gave a bad output ${tensor?.name ? `'${tensor.name}'` : i}: ${fault}`);
    const { name, dtype, shape, data } = tensor;
    return { name, dtype, shape: Array.from(shape), data: bytes_of(data) };
  });
  if (info === undefined || info === null) return { tensors };
  let plain; // judged as JSON, since an object may become something else there (a Date, a toJSON)
  try {
    plain = JSON.parse(JSON.stringify(info, well_formed));
  } catch (thrown) {
    fail(`gave an info that is no JSON: ${words_of(thrown)}`);
  }
  if (plain === null || typeof plain !== 'object' || Array.isArray(plain)) {
    fail('gave an info that is no object');
  }
  return { tensors, info: plain };
}

const well_formed = (_key, value) => (typeof value === 'string' ? well_formed_text(value) : value);
