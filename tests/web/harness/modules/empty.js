// Not an operation module: it exports no `run`.
// SPDX-License-Identifier: BSL-1.0
export const name = 'empty';
