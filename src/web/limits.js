// Everpool worker page: every limit of the page, by name.
// SPDX-License-Identifier: BSL-1.0
//
// The limits of the wire itself (frame and header sizes) are the protocol's, see protocol.js.

/** Bytes of a message text that goes to the host, after UTF-8 encoding. Longer ones are cut. */
export const text_bytes_max = 1024;

/** Bytes of a frame that goes to the host, where it does not say: as in wire/limits.hpp. */
export const frame_bytes_default = 256 << 20;

/** Inputs that a model may have, and outputs: list_count_max in wire/limits.hpp. */
export const signature_count_max = 1024;

/** Levels of objects and arrays in the `info` of an operation module. */
export const info_depth_max = 16;

/** Operations that one data connection holds (waiting or running). More are answered queue_full. */
export const tasks_held_max = 4096;

/** Attempts to open one connection. One that was open and then closed is never reopened. */
export const connect_tries_max = 3;

/** Between two such attempts, in ms: try n waits n times as long. */
export const connect_pause_ms = 50;

/** How long one capability probe may take. A driver that hangs counts as "not available". */
export const probe_ms_max = 5000;

/** Attempts to get a WebGPU adapter, and the pause between two of them in ms. */
export const adapter_tries_max = 3;
export const adapter_pause_ms = 60;

/** `unhandled_error` events that one thread sends in its life. The rest would only repeat them. */
export const error_events_max = 32;

/** Compiled compute pipelines kept, least recently used first out. */
export const pipelines_cached_max = 64;

/** Between two `progress` messages of one phase. The last of a phase is always sent. */
export const progress_interval_ms = 100;

/** How long a failed run waits to learn whether its device is lost. */
export const device_trial_ms_max = 2000;

/** How long a wait for the GPU is hurried along at full speed, then at `pump_slow_ms` (Firefox). */
export const pump_eager_ms = 1000;
export const pump_slow_ms = 4;

/** Events kept until hello has been said, per connection. */
export const early_events_max = 32;
