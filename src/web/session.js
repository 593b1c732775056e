// Everpool worker page: what the page owes the host on its two connections. Pure: no DOM, no
// WebSocket, no clock, no promise; runs under node.
// SPDX-License-Identifier: BSL-1.0
//
// A session gets decoded messages and the time, and returns actions, in the order in which they are
// to be performed:
//
//   {do: 'send', kind, header, tensors}  one message to the host
//   {do: 'echo', message}                answer this run with its own inputs (see echo.js)
//   {do: 'start', task}                  begin; on_done(task, ...) must follow exactly once
//   {do: 'abort', task}                  nobody waits for it any more; it may stop early
//   {do: 'continue'}                     call on_continue() in a later turn of the event loop
//   {do: 'close', reason}                close the connection, for good
//   {do: 'restart_compute'}              throw the compute thread away, start the next one
//   {do: 'drain_compute'}                tell the compute thread that nothing new is to be begun
//
// Every message is legal in every state. A cancel for a task that is unknown, a duplicate run, an
// on_done for a task that has been answered otherwise: ignored. A message that only the page may
// send, or one without its fields, is a protocol error: it is said, and the connection is closed,
// because two ends that do not understand each other cannot owe each other anything.
//
// Data session: the life of a task
//
//     run, load_model, unload_model
//        |  (free lane, or model lane idle)            (model lane busy)
//        v                                                  v
//     running  <------------- on_continue() ------------  waiting
//        |                                                  |
//        | on_done: result | ready | error                  | cancel: error cancelled
//        | on_device_lost: error device_lost                | on_device_lost: error device_lost
//        v                                                  v
//     answered, exactly once
//
// Lanes: onnxruntime-web takes one call at a time, so models have a lane in which tasks run in
// order of arrival, and between two of them the event loop turns once (`continue`), so that a ping
// or a cancel is not kept waiting by a full queue. Everything else runs side by side.

import { Kind } from './protocol.js';
import { early_events_max, tasks_held_max } from './limits.js';
import { bounded_text } from './operation_error.js';

export const protocol_version = 1;

const none = Object.freeze([]);

/** `tensors` of results only: with them the header gets a list of tensors, be it an empty one. */
const send = (kind, header, tensors = null) => ({ do: 'send', kind, header, tensors });

const violation = (what) => [
  send(Kind.error, { id: 0, attempt: 0, code: 'protocol_error', message: what }),
  send(Kind.bye, { reason: 'protocol error' }),
  { do: 'close', reason: 'protocol error' },
];

const is_id = (value) => Number.isSafeInteger(value) && value >= 0;
const is_text = (value) => typeof value === 'string';

/** The name of a kind, for messages to people. */
const kind_name = (kind) => Object.keys(Kind).find((name) => Kind[name] === kind) ?? `kind ${kind}`;

/** What both connections have in common: they say hello, and answer pings and byes. */
class Session {
  is_closed = false;
  #early_events = []; // told before hello, which must be first; null from then on

  constructor(role, token, realm) {
    this.role = role;
    this.token = token;
    this.realm = realm;
  }

  /** The first message on a connection. `capabilities` on the data connection only. */
  hello(engine, capabilities) {
    const header = {
      role: this.role,
      token: this.token,
      protocol: protocol_version,
      realm: this.realm,
      engine,
    };
    if (capabilities !== undefined) header.capabilities = capabilities;
    const actions = [send(Kind.hello, header), ...(this.#early_events ?? none)];
    this.#early_events = null;
    return actions;
  }

  /** Something happened that the host did not ask for. */
  event(type, message) {
    if (this.is_closed) return none;
    const action = send(Kind.event, { type, message: bounded_text(message) });
    if (this.#early_events === null) return [action];
    if (this.#early_events.length < early_events_max) this.#early_events.push(action);
    return none;
  }

  /** The frame could not be decoded at all. */
  on_malformed(words) {
    return this.violate(`malformed frame: ${words}`);
  }

  violate(what) {
    if (this.is_closed) return none;
    this.is_closed = true;
    return violation(bounded_text(what));
  }

  pong(header) {
    if (!is_id(header.sequence)) return this.violate('ping without a sequence');
    return [send(Kind.pong, { sequence: header.sequence })];
  }

  bye() {
    this.is_closed = true;
    return [{ do: 'close', reason: 'the host said bye' }];
  }
}

/** The page's main thread: alive or not, and the master of the compute thread. */
export class ControlSession extends Session {
  constructor(token, realm) {
    super('control', token, realm);
  }

  on_message({ kind, header }) {
    if (this.is_closed) return none;
    switch (kind) {
      case Kind.ping:
        return this.pong(header);
      case Kind.bye:
        return this.bye();
      case Kind.drain:
        return this.#drain(header);
      default:
        return this.violate(`${kind_name(kind)} does not belong on the control connection`);
    }
  }

  #drain(header) {
    if (header.restart_compute !== true) return [{ do: 'drain_compute' }];
    this.realm += 1;
    return [{ do: 'restart_compute' }];
  }
}

/** The compute thread: takes operations and models, answers each once. */
export class DataSession extends Session {
  #held = new Map(); // key -> task, waiting or running
  #waiting = []; // of the model lane, in order of arrival
  #model_task = null; // the one that runs
  #models_lost = null; // why onnxruntime-web cannot be used in this realm any more
  #is_draining = false;

  constructor(token, realm) {
    super('data', token, realm);
  }

  get task_count() {
    return this.#held.size;
  }

  /** False once it refuses what is new. */
  get is_taking() {
    return !this.is_closed && !this.#is_draining;
  }

  /** Nothing new is begun from now on; what is held finishes. */
  drain() {
    this.#is_draining = true;
  }

  on_message(message, now) {
    if (this.is_closed) return none;
    switch (message.kind) {
      case Kind.run:
        return this.#run(message, now);
      case Kind.ping:
        return this.pong(message.header);
      case Kind.cancel:
        return this.#cancel(message.header);
      case Kind.load_model:
        return this.#load(message, now);
      case Kind.unload_model:
        return this.#unload(message, now);
      case Kind.bye:
        return [...this.on_closed(), ...this.bye()];
      default:
        return this.violate(`${kind_name(message.kind)} does not belong on the data connection`);
    }
  }

  /** Two ends that do not understand each other owe each other nothing: what is held may stop. */
  violate(what) {
    const actions = super.violate(what);
    return actions.length === 0 ? none : [...actions, ...this.on_closed()];
  }

  /**
   * A task has come to its end. `outcome` is one of
   *   {error: {code, message}}
   *   {tensors, provider, is_fallback_adapter, info, compute_ms}   of a run
   *   {ready: {...}}                                               of load_model and unload_model
   */
  on_done(task, outcome) {
    const actions = [];
    if (this.#forget(task)) actions.push(this.#answer(task, outcome));
    if (this.#model_task === task) {
      this.#model_task = null;
      if (this.#waiting.length > 0) actions.push({ do: 'continue' });
    }
    return actions;
  }

  /** Begin the next task of the model lane, if the lane is idle. */
  on_continue(now) {
    if (this.#model_task !== null) return none;
    const task = this.#waiting.shift();
    if (task === undefined) return none;
    this.#model_task = task;
    return [this.#start(task, now)];
  }

  on_progress(task, phase, loaded, total) {
    if (this.#held.get(task.key) !== task) return none;
    const { id, model } = task.header;
    return [send(Kind.progress, { id, model, phase, loaded, total })];
  }

  /**
   * A GPU device is gone. `lane` says whose: 'model' (onnxruntime-web's, which is
   * dead in this realm from now on) or 'shader' (that of the compute operation).
   */
  on_device_lost(lane, message) {
    if (this.is_closed || (lane === 'model' && this.#models_lost !== null)) return none;
    const words = bounded_text(message);
    const actions = this.#fail_lane(lane, words);
    if (lane === 'model') this.#models_lost = words;
    return [...actions, ...this.event('device_lost', message)];
  }

  /**
   * A WebNN context is gone, and the sessions with it; the runtime lives, and takes models again.
   * The event goes first: the answers alone would tell of a dead realm.
   */
  on_context_lost(message) {
    if (this.is_closed || this.#models_lost !== null) return none;
    return [
      ...this.event('context_lost', message),
      ...this.#fail_lane('model', bounded_text(message)),
    ];
  }

  #fail_lane(lane, words) {
    const actions = [];
    for (const task of [...this.#held.values()]) {
      if (task.lane !== lane) continue;
      this.#forget(task);
      actions.push(this.#answer(task, { error: { code: 'device_lost', message: words } }));
    }
    if (lane === 'model') this.#waiting = [];
    return actions;
  }

  /** The connection is gone: what was held is of no use to anybody. */
  on_closed() {
    this.is_closed = true;
    const actions = [...this.#held.values()]
      .filter((task) => task.is_running)
      .map((task) => ({ do: 'abort', task }));
    this.#held.clear();
    this.#waiting = [];
    return actions;
  }

  #run(message, now) {
    const { header } = message;
    if (!is_id(header.id) || !is_id(header.attempt) || !is_text(header.operation)) {
      return this.violate('run without id, attempt or operation');
    }
    if (header.operation === 'echo' && this.is_taking) return [{ do: 'echo', message }];
    let lane = 'module';
    if (header.operation === 'inference') lane = 'model';
    else if (header.operation === 'compute') lane = 'shader';
    return this.#take(
      {
        key: `${header.id}/${header.attempt}`,
        what: 'run',
        lane,
        header,
        tensors: message.tensors,
        arrived: now,
        queue_ms: 0,
        is_running: false,
      },
      now,
    );
  }

  #load({ header }, now) {
    if (
      !is_id(header.id) ||
      !is_text(header.model) ||
      !is_text(header.url) ||
      !Array.isArray(header.providers)
    ) {
      return this.violate('load_model without id, model, url or providers');
    }
    return this.#take(this.#model_order('load', header, now), now);
  }

  #unload({ header }, now) {
    if (!is_id(header.id) || !is_text(header.model)) {
      return this.violate('unload_model without id or model');
    }
    return this.#take(this.#model_order('unload', header, now), now);
  }

  #model_order(what, header, now) {
    return {
      key: `${what} ${header.id}`,
      what,
      lane: 'model',
      header: { attempt: 0, ...header },
      tensors: none,
      arrived: now,
      queue_ms: 0,
      is_running: false,
    };
  }

  #take(task, now) {
    if (this.#held.has(task.key)) return none; // a duplicate: the first one will be answered
    const refusal = this.#refusal(task);
    if (refusal !== null) return [this.#answer(task, { error: refusal })];
    this.#held.set(task.key, task);
    if (task.lane !== 'model') return [this.#start(task, now)];
    this.#waiting.push(task);
    // Behind others it waits for on_continue, even in the gap between two of them.
    return this.#waiting.length === 1 ? this.on_continue(now) : none;
  }

  #refusal(task) {
    if (this.#is_draining) {
      return {
        code: 'pool_draining',
        message: 'the worker finishes what it has and takes no more',
      };
    }
    if (task.lane === 'model' && this.#models_lost !== null) {
      return { code: 'device_lost', message: this.#models_lost };
    }
    if (this.#held.size >= tasks_held_max) {
      return { code: 'queue_full', message: `${tasks_held_max} operations are held already` };
    }
    return null;
  }

  #cancel(header) {
    const task = this.#held.get(`${header.id}/${header.attempt}`);
    if (task === undefined) return none;
    if (task.is_running) return [{ do: 'abort', task }];
    this.#forget(task);
    this.#waiting.splice(this.#waiting.indexOf(task), 1);
    return [
      this.#answer(task, { error: { code: 'cancelled', message: 'cancelled while waiting' } }),
    ];
  }

  #start(task, now) {
    task.is_running = true;
    task.queue_ms = now - task.arrived;
    return { do: 'start', task };
  }

  #answer(task, outcome) {
    const { id, attempt } = task.header;
    if (outcome.error) return send(Kind.error, { id, attempt, ...outcome.error });
    if (outcome.ready) return send(Kind.ready, { id, model: task.header.model, ...outcome.ready });
    const header = {
      id,
      attempt,
      is_fallback_adapter: outcome.is_fallback_adapter ?? false,
      queue_ms: task.queue_ms,
      compute_ms: outcome.compute_ms ?? 0,
    };
    if (outcome.provider !== undefined) header.provider = outcome.provider;
    if (outcome.info !== undefined) header.info = outcome.info;
    return send(Kind.result, header, outcome.tensors);
  }

  /** True if it was held, that is: has not been answered. */
  #forget(task) {
    if (this.#held.get(task.key) !== task) return false;
    this.#held.delete(task.key);
    return true;
  }
}
