// Unpacks the Chromium of npm's @sparticuz/chromium, the one build for Linux whose WebNN works, so
// that WebNN is tested for real. Does nothing the second time.
// SPDX-License-Identifier: BSL-1.0
//
// src/web/node_modules/.webnn-browser/headless_shell is the result, where the tests look for it.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, createReadStream, createWriteStream, existsSync, mkdirSync,
         renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';

const modules = fileURLToPath(new URL('../src/web/node_modules/', import.meta.url));
const packed = join(modules, '@sparticuz/chromium/bin');
const target = join(modules, '.webnn-browser');

if (process.arch !== 'x64') {
  console.log('unpack_webnn_browser: only for x86-64; WebNN stays untested here');
} else if (existsSync(packed) && !existsSync(target)) {
  // Unpacked beside it and renamed at the end: an interrupted run leaves nothing that looks complete.
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  const unpack = (from, to) =>
    pipeline(createReadStream(join(packed, from)), createBrotliDecompress(), createWriteStream(to));
  await unpack('chromium.br', join(partial, 'headless_shell'));
  chmodSync(join(partial, 'headless_shell'), 0o755);
  const archive = join(partial, 'swiftshader.tar');
  await unpack('swiftshader.tar.br', archive);
  execFileSync('tar', ['--no-same-owner', '-xf', archive, '-C', partial]);
  rmSync(archive);
  copyFileSync(join(modules, '@sparticuz/chromium/package.json'), join(partial, 'package.json'));
  renameSync(partial, target);
  console.log('unpack_webnn_browser: unpacked the Chromium whose WebNN works');
}
