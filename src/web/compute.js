// Everpool worker page: the compute thread. A dedicated Worker that holds the data connection and
// performs operations; wiring only, what is decided is decided in session.js.
// SPDX-License-Identifier: BSL-1.0
//
// From page.js it gets {type: 'start', page_url, token, realm, heap_bytes_max} once, first,
// {type: 'drain'} at most once, and {type: 'drill', drill} when it is to break (drills.js). It
// sends nothing back: whatever the host must know goes over the data connection.

import { Connection, frame_bytes_max_of, socket_url } from './connection.js';
import { GpuPump } from './gpu_pump.js';
import { Inference } from './inference.js';
import { Modules } from './modules.js';
import { Operations } from './operations.js';
import { Shaders } from './shaders.js';
import { DataSession } from './session.js';
import { decode, encode, Kind } from './protocol.js';
import { detect_engine } from './engine.js';
import { is_echo, turn_into_result } from './echo.js';
import { error_events_max, frame_bytes_default } from './limits.js';
import { probe_capabilities } from './capabilities.js';
import { error_outcome, words_of } from './operation_error.js';

class ComputeThread {
  #session;
  #connection;
  #operations = null; // once the capabilities are known
  #error_events = 0;
  #frame_bytes_max;
  #turn = new MessageChannel(); // a turn of the event loop that no timer throttles

  constructor({ page_url, token, realm, heap_bytes_max }) {
    this.page_url = page_url;
    this.#frame_bytes_max = frame_bytes_max_of(page_url, frame_bytes_default);
    this.#session = new DataSession(token, realm);
    this.#turn.port1.onmessage = () => this.#act(this.#session.on_continue(performance.now()));
    const identity = this.#identify(heap_bytes_max);
    this.#connection = new Connection(socket_url(page_url, 'data'), {
      on_open: async () => {
        const { engine, capabilities } = await identity;
        this.#act(this.#session.hello(engine, capabilities));
      },
      on_frame: (frame) => this.#on_frame(frame),
      on_text: () => this.#act(this.#session.on_malformed('a text message')),
      on_closed: () => this.#act(this.#session.on_closed()),
    });
  }

  drain() {
    this.#session.drain();
  }

  on_unhandled_error(thrown) {
    if (this.#error_events++ >= error_events_max) return;
    this.#act(this.#session.event('unhandled_error', words_of(thrown)));
  }

  async #identify(heap_bytes_max) {
    const [engine, capabilities] = await Promise.all([
      detect_engine(self),
      probe_capabilities(self, heap_bytes_max),
    ]);
    const pump = new GpuPump(engine.name);
    const on_lost = (lane) => (message) => this.#act(this.#session.on_device_lost(lane, message));
    this.#operations = new Operations({
      inference: new Inference({
        scope: self,
        page_url: this.page_url,
        capabilities,
        pump,
        on_lost: on_lost('model'),
        on_context_lost: (message) => this.#act(this.#session.on_context_lost(message)),
      }),
      shaders: new Shaders(navigator, capabilities.webgpu, pump, on_lost('shader')),
      modules: new Modules(this.page_url),
      frame_bytes_max: this.#frame_bytes_max,
    });
    return { engine, capabilities };
  }

  #on_frame(frame) {
    if (this.#session.is_taking && is_echo(new Uint8Array(frame))) {
      this.#echo(frame);
      return;
    }
    let message;
    try {
      message = decode(frame);
    } catch (thrown) {
      this.#act(this.#session.on_malformed(words_of(thrown)));
      return;
    }
    this.#act(this.#session.on_message(message, performance.now()));
  }

  #act(actions) {
    for (const action of actions) {
      switch (action.do) {
        case 'echo':
          this.#echo(action.message.frame);
          break;
        case 'send':
          this.#send(action);
          break;
        case 'start':
          this.#start(action.task);
          break;
        case 'abort':
          action.task.controller?.abort();
          break;
        case 'continue':
          this.#turn.port2.postMessage(0);
          break;
        case 'close':
          this.#connection.close();
          break;
      }
    }
  }

  #echo(frame) {
    turn_into_result(new Uint8Array(frame));
    this.#connection.send(frame);
  }

  /** An answer that does not fit into a frame becomes an error: every request has an answer. */
  #send({ kind, header, tensors }) {
    let bytes;
    try {
      bytes = encode(kind, header, tensors);
      if (bytes.byteLength > this.#frame_bytes_max) {
        throw new Error(`${bytes.byteLength} bytes; the host takes ${this.#frame_bytes_max}`);
      }
    } catch (thrown) {
      const { id = 0, attempt = 0 } = header;
      const message = `the answer cannot be sent: ${words_of(thrown)}`;
      bytes = encode(Kind.error, { id, attempt, code: 'message_too_large', message });
    }
    this.#connection.send(bytes);
  }

  async #start(task) {
    if (task.lane === 'module') task.controller = new AbortController();
    const on_progress = (phase, loaded, total) =>
      this.#act(this.#session.on_progress(task, phase, loaded, total));
    const outcome =
      this.#operations === null
        ? error_outcome(new Error('a task arrived before this page said hello'))
        : await this.#operations.perform(task, on_progress);
    this.#act(this.#session.on_done(task, outcome));
  }
}

let thread = null;

self.onmessage = ({ data }) => {
  if (data.type === 'start' && thread === null) thread = new ComputeThread(data);
  else if (data.type === 'drain') thread?.drain();
  else if (data.type === 'drill') {
    import('./drills.js').then(({ break_thread }) => break_thread(data.drill));
  }
};
self.addEventListener('error', (event) => {
  thread?.on_unhandled_error(event.error ?? event.message);
  event.preventDefault(); // reported here; page.js reports only what keeps this script from running
});
self.addEventListener('unhandledrejection', (event) => {
  thread?.on_unhandled_error(event.reason);
  event.preventDefault();
});
