// Everpool worker page: models, run by onnxruntime-web.
// SPDX-License-Identifier: BSL-1.0
//
// The caller (operations.js, by way of the session's model lane) makes one call at a time; the
// runtime cannot take more. A session is created with a single provider, so that the provider that
// is reported is the one that was really used (the runtime moves single operators that a provider
// lacks to plain WebAssembly by itself, and says so nowhere).
//
// After the loss of its GPU device the runtime is dead in this realm: calls hang or fail in ways
// that have nothing to do with the model. `on_lost` is told once; only a new compute thread helps.
//
// After the loss of a WebNN context its sessions are dead and the runtime lives: `on_context_lost`
// is told, and models can be loaded again with a new context. If that fails, the realm is given up,
// too: what a probe of its first minute said is no proof any more.

import { OperationError, words_of } from './operation_error.js';
import { input_fault } from './input_check.js';
import { context_works, device_works } from './device_trial.js';
import {
  choose_providers,
  is_dead_runtime,
  is_hopeless_file,
  list_reasons,
  load_failure_code,
  order_device_types,
} from './provider_choice.js';
import { choose_runtime, limit_to_runtime } from './runtime_choice.js';
import { allow_method_callers } from './method_callers.js';
import { fetch_model } from './model_fetch.js';
import { signature_fault } from './answer_check.js';
import { typed_data } from './tensor_data.js';


export class Inference {
  #scope;
  #page_url;
  #capabilities;
  #pump;
  #on_lost;
  #on_context_lost;
  #has_lost_context = false;
  #build; // which of its builds this browser runs
  #runtime = null; // promise of onnxruntime-web
  #models = new Map(); // name -> {session, provider, is_fallback_adapter, inputs, outputs}
  #contexts = new Map(); // WebNN device type -> promise of the context that all its models share
  #watched = new WeakSet(); // devices and contexts whose loss is awaited already
  #lost = new WeakSet(); // devices and contexts whose loss has been told

  constructor({ scope, page_url, capabilities, pump, on_lost, on_context_lost }) {
    this.#scope = scope;
    this.#page_url = page_url;
    this.#build = choose_runtime(scope.WebAssembly);
    this.#capabilities = limit_to_runtime(this.#build, capabilities);
    this.#pump = pump;
    this.#on_lost = on_lost;
    this.#on_context_lost = on_context_lost;
  }

  /** @returns the outcome of a load_model; a model of the same name is replaced */
  async load({ header }, on_progress) {
    const { model, url, providers, bytes } = header;
    const { usable, missing } = choose_providers(providers, this.#capabilities);
    if (usable.length === 0) {
      throw new OperationError(
        'provider_unavailable',
        `model '${model}': ${list_reasons(missing) || 'no provider was asked for'}`,
      );
    }
    const fetch_started = performance.now();
    const file = await fetch_model(new URL(url, this.#page_url), model, bytes, on_progress);
    const create_started = performance.now();
    await this.#release(model);
    const made = await this.#create(model, file, usable, missing, on_progress);
    this.#models.set(model, made);
    return {
      ready: {
        provider: made.provider,
        is_fallback_adapter: made.is_fallback_adapter,
        inputs: made.inputs,
        outputs: made.outputs,
        fetch_ms: create_started - fetch_started,
        create_ms: performance.now() - create_started,
      },
    };
  }

  async unload({ header }) {
    this.#get(header.model);
    await this.#release(header.model);
    return { ready: { unloaded: true } };
  }

  /** @returns the outcome of a run */
  async run({ header, tensors }) {
    const made = this.#get(header.model ?? '');
    const fault = input_fault(header.model, made.inputs, tensors);
    if (fault !== null) throw new OperationError('invalid_input', fault);
    const { Tensor } = await this.#runtime;
    const feeds = {};
    for (const { name, dtype, shape, data } of tensors) {
      feeds[name] = new Tensor(dtype, typed_data(dtype, data), shape);
    }
    const started = performance.now();
    const given = await this.#run_session(made, feeds);
    const compute_ms = performance.now() - started;
    return {
      tensors: made.outputs.map(({ name }) => {
        const { type, dims, data } = given[name];
        return { name, dtype: type, shape: Array.from(dims), data };
      }),
      provider: made.provider,
      is_fallback_adapter: made.is_fallback_adapter,
      compute_ms,
    };
  }

  async #run_session(made, feeds) {
    try {
      return await this.#pump.hurry(made.device, made.session.run(feeds));
    } catch (thrown) {
      const words = words_of(thrown);
      if (is_dead_runtime(words)) this.#lose(`onnxruntime-web is dead in this realm: ${words}`);
      else if (made.lossy) await this.#look_for_loss(made, words);
      throw new OperationError('operation_failed', `${made.provider}: ${words}`);
    }
  }

  /** The run may have failed because what it ran on is gone; then that is told first. */
  async #look_for_loss({ lossy, provider }, words) {
    const works = provider === 'webnn' ? context_works(lossy) : device_works(lossy, this.#pump);
    if (!(await works)) this.#lose_under(lossy, provider, words);
  }

  #get(model) {
    const made = this.#models.get(model);
    if (made !== undefined) return made;
    const names = [...this.#models.keys()].map((name) => `'${name}'`).join(', ') || 'none';
    throw new OperationError(
      'unknown_model',
      `no model '${model}' is loaded here; loaded: ${names}`,
    );
  }

  async #release(model) {
    const made = this.#models.get(model);
    if (made === undefined) return;
    this.#models.delete(model);
    await made.session.release();
  }

  async #create(model, file, usable, missing, on_progress) {
    const failures = [];
    on_progress('create', 0, 1);
    for (const option of this.#options(usable)) {
      try {
        const made = await this.#attempt(model, file, option);
        on_progress('create', 1, 1);
        // Its WebNN works again: what it refuses from now on is the model's fault.
        if (option.name === 'webnn') this.#has_lost_context = false;
        return made;
      } catch (thrown) {
        if (thrown instanceof OperationError) throw thrown;
        const reason = words_of(thrown);
        failures.push({ provider: option.name, reason });
        const is_without_context = option.name === 'webnn' && this.#has_lost_context;
        if (is_dead_runtime(reason) || is_without_context) {
          this.#lose(`onnxruntime-web is dead in this realm: ${reason}`);
          throw new OperationError(
            'device_lost',
            `model '${model}': onnxruntime-web is dead in ` +
              `this realm, only a new compute thread helps: ${list_reasons(failures)}`,
          );
        }
        if (is_hopeless_file(reason)) break;
      }
    }
    throw new OperationError(
      load_failure_code(failures),
      `model '${model}': ${list_reasons([...failures, ...missing])}`,
    );
  }

  /** What to try, one execution provider each; WebNN once per device type that gave a context. */
  #options(usable) {
    return usable.flatMap((name) =>
      name === 'webnn'
        ? order_device_types(this.#capabilities.webnn.device_types).map((deviceType) => ({
            name,
            deviceType,
          }))
        : [{ name }],
    );
  }

  async #attempt(model, file, option) {
    const ort = await this.#get_runtime();
    let lossy = null; // what can be lost under the session
    if (option.name === 'webnn') {
      lossy = await this.#get_context(option.deviceType);
      option = { ...option, context: lossy };
    }
    const creating = ort.InferenceSession.create(file, {
      executionProviders: [option.name === 'wasm' ? 'wasm' : option],
      logSeverityLevel: 3,
    });
    const session = await this.#pump.hurry(await peek(ort.env.webgpu?.device), creating);
    if (option.name === 'webgpu') lossy = await ort.env.webgpu.device;
    if (lossy) this.#watch(lossy, option.name);
    const made = {
      session,
      provider: option.name,
      is_fallback_adapter:
        option.name === 'webgpu' && this.#capabilities.webgpu.is_fallback_adapter,
      lossy,
      device: option.name === 'webgpu' ? lossy : null,
      inputs: tensor_specs(session.inputMetadata),
      outputs: tensor_specs(session.outputMetadata),
    };
    const fault = signature_fault(made.inputs) ?? signature_fault(made.outputs);
    if (fault === null) return made;
    await session.release();
    throw new OperationError(
      'model_rejected',
      `model '${model}': inputs or outputs that the wire cannot carry: ${fault}`,
    );
  }

  #get_context(deviceType) {
    let context = this.#contexts.get(deviceType);
    if (context === undefined) {
      context = this.#scope.navigator.ml.createContext({ deviceType });
      context.catch(() => this.#contexts.delete(deviceType)); // the next load asks again
      this.#contexts.set(deviceType, context);
    }
    return context;
  }

  #get_runtime() {
    this.#runtime ??= this.#import_runtime();
    return this.#runtime;
  }

  async #import_runtime() {
    allow_method_callers(this.#scope);
    const ort = await import(this.#build.module);
    ort.env.wasm.numThreads = 1; // one worker, one core: the pool is what runs side by side
    ort.env.wasm.wasmPaths = { wasm: this.#build.binary };
    ort.env.logLevel = 'error';
    return ort;
  }

  #watch(lossy, provider) {
    if (this.#watched.has(lossy) || !lossy.lost) return;
    this.#watched.add(lossy);
    lossy.lost.then((info) => {
      // The runtime destroys its device itself, after the last session; nobody else has cause to.
      if (info?.reason === 'destroyed' && !this.#is_used(lossy)) return;
      this.#lose_under(lossy, provider, info?.message ?? '');
    });
  }

  #lose_under(lossy, provider, words) {
    if (this.#lost.has(lossy)) return;
    this.#lost.add(lossy);
    const message = `${provider} was lost under onnxruntime-web: ${words}`;
    if (provider === 'webnn') this.#lose_contexts(message);
    else this.#lose(message);
  }

  #is_used(device) {
    return [...this.#models.values()].some((made) => made.device === device);
  }

  #lose(message) {
    this.#models.clear();
    this.#on_lost(message);
  }

  /** One process computes for all contexts; where one goes, all do. */
  #lose_contexts(message) {
    if (this.#contexts.size === 0) return; // of contexts that went together, the first has told it
    this.#has_lost_context = true;
    this.#contexts.clear();
    this.#models.clear();
    this.#on_context_lost(message);
  }
}

/** The value behind a promise or a property that may not be there yet; undefined if it throws. */
async function peek(value) {
  try {
    return await value;
  } catch {
    return undefined;
  }
}

/** The runtime's metadata as the wire's tensor specs; symbolic dimensions become -1. */
export function tensor_specs(metadata) {
  return metadata.map(({ name, isTensor, type, shape }) => ({
    name,
    dtype: isTensor ? type : 'not a tensor',
    shape: isTensor ? shape.map((size) => (typeof size === 'number' && size >= 0 ? size : -1)) : [],
  }));
}
