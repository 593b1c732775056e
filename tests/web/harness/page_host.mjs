// A host for the worker page, in node: serves it as the library's bridge does (same paths, types,
// isolation headers and Content-Security-Policy) and speaks the wire protocol with it.
// SPDX-License-Identifier: BSL-1.0
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { decode, encode, Kind } from '../../../src/web/protocol.js';

export const web_dir = new URL('../../../src/web/', import.meta.url);
export const models_dir = new URL('../../models/', import.meta.url);
export const ort_dir = new URL('node_modules/onnxruntime-web/dist/', web_dir);
const modules_dir = new URL('./modules/', import.meta.url);

const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; " +
    "worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'; report-uri /violation",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

const types = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
  onnx: 'application/octet-stream',
};

/** The `ws` package of src/web's development dependencies; undefined where npm ci was not run. */
function websocket_server() {
  try {
    return createRequire(new URL('package.json', web_dir))('ws').WebSocketServer;
  } catch {
    return undefined;
  }
}

export const is_installed = websocket_server() !== undefined;

/** One WebSocket of the page. Messages are kept until somebody takes them. */
class Channel {
  #socket;
  #kept = [];
  #takers = [];
  is_closed = false;

  constructor(socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => this.#on_frame(bytes));
    socket.on('close', () => {
      this.is_closed = true;
      for (const taker of this.#takers.splice(0)) taker.reject(new Error('the connection closed'));
    });
  }

  send(kind, header, tensors = null) {
    this.#socket.send(new Uint8Array(encode(kind, header, tensors)));
  }

  send_raw(bytes) {
    this.#socket.send(bytes);
  }

  drop() {
    this.#socket.terminate();
  }

  /** The first message, kept or to come, that `wanted` accepts. */
  take(what, wanted, ms_max = 30_000) {
    const at = this.#kept.findIndex(wanted);
    if (at >= 0) return Promise.resolve(this.#kept.splice(at, 1)[0]);
    if (this.is_closed) return Promise.reject(new Error(`the connection is closed; no ${what}`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        const seen = this.#kept.map(({ kind, header }) => `${kind} ${JSON.stringify(header)}`);
        reject(
          new Error(`no ${what} within ${ms_max} ms; kept: ${seen.join('; ').slice(0, 2000)}`),
        );
      }, ms_max);
      const taker = {
        wanted,
        resolve: (message) => {
          clearTimeout(timer);
          resolve(message);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#takers.push(taker);
    });
  }

  take_kind(name, ms_max) {
    return this.take(name, ({ kind }) => kind === Kind[name], ms_max);
  }

  /** result, ready or error of this id. */
  take_answer(id, ms_max) {
    const kinds = [Kind.result, Kind.ready, Kind.error];
    return this.take(
      `answer to ${id}`,
      ({ kind, header }) => kinds.includes(kind) && header.id === id,
      ms_max,
    );
  }

  async ping(sequence, ms_max = 5000) {
    const started = performance.now();
    this.send(Kind.ping, { sequence });
    await this.take(
      `pong ${sequence}`,
      ({ kind, header }) => kind === Kind.pong && header.sequence === sequence,
      ms_max,
    );
    return performance.now() - started;
  }

  #on_frame(bytes) {
    const frame = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const message = { ...decode(frame), arrived: performance.now() };
    const at = this.#takers.findIndex(({ wanted }) => wanted(message));
    if (at >= 0) this.#takers.splice(at, 1)[0].resolve(message);
    else this.#kept.push(message);
  }
}

export class PageHost {
  token = randomBytes(16).toString('hex');
  refused_paths = []; // requested, but not there
  violations = []; // of the Content-Security-Policy, as the browser reports them
  refuse = null; // a path that is not found, though it is there
  hold_models = null; // while it is a promise, model files wait for it
  #server = createServer((request, response) => this.#serve(request, response));
  #upgrades = { control: [], data: [] }; // channels that nobody has taken yet
  #waiting = { control: [], data: [] };
  #sockets = new Set();

  async listen() {
    const WebSocketServer = websocket_server();
    const wss = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: 1 << 28,
      handleProtocols: (offered) => (offered.has('everpool.v1') ? 'everpool.v1' : false),
    });
    this.#server.on('upgrade', (request, socket, head) => {
      const channel = new RegExp(`^/w/${this.token}/(control|data)$`).exec(request.url)?.[1];
      if (channel === undefined || request.headers.origin !== this.origin) {
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      socket.setNoDelay(true);
      wss.handleUpgrade(request, socket, head, (ws) => {
        this.#sockets.add(ws);
        ws.on('close', () => this.#sockets.delete(ws));
        ws.on('error', () => {});
        const opened = new Channel(ws);
        const waiting = this.#waiting[channel].shift();
        if (waiting) waiting(opened);
        else this.#upgrades[channel].push(opened);
      });
    });
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.origin = `http://127.0.0.1:${this.#server.address().port}`;
    this.page_url = `${this.origin}/w/${this.token}/`;
  }

  /** The next connection on `channel` ("control" or "data"), with its hello taken from it. */
  async connection(channel, ms_max = 30_000) {
    const opened =
      this.#upgrades[channel].shift() ??
      (await Promise.race([
        new Promise((resolve) => this.#waiting[channel].push(resolve)),
        pause(ms_max, undefined, { ref: false }).then(() => {
          throw new Error(`no ${channel} connection within ${ms_max} ms`);
        }),
      ]));
    const { header } = await opened.take_kind('hello', ms_max);
    opened.hello = header;
    return opened;
  }

  close() {
    for (const socket of this.#sockets) socket.terminate();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request, response) {
    if (request.url === '/violation') {
      let report = '';
      for await (const part of request) report += part;
      this.violations.push(report);
      response.writeHead(204).end();
      return;
    }
    const file = this.#file_of(new URL(request.url, this.origin).pathname);
    try {
      if (request.url.includes('/models/')) await this.hold_models;
      if (file === undefined || request.url === this.refuse) throw new Error('no such path');
      const bytes = await readFile(file);
      const type = types[file.pathname.split('.').pop()] ?? 'application/octet-stream';
      response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': bytes.length });
      response.end(bytes);
    } catch {
      this.refused_paths.push(request.url);
      response.writeHead(404, { ...headers, 'Content-Type': 'text/plain' });
      response.end('not found');
    }
  }

  #file_of(path) {
    const name = path.split('/').pop();
    if (path === `/w/${this.token}/`) return new URL('worker.html', web_dir);
    if (path === `/everpool/${name}` && name.endsWith('.js')) return new URL(name, web_dir);
    if (path === `/ort/${name}`) return new URL(name, ort_dir);
    if (path === `/w/${this.token}/models/${name}`) return new URL(`${name}.onnx`, models_dir);
    if (path === `/w/${this.token}/modules/${name}`) return new URL(name, modules_dir);
    return undefined;
  }
}
