// Real browsers for the tests of the worker page: found by a list of paths, each in a process group
// and a directory of its own, killed by its id and removed at the end.
// SPDX-License-Identifier: BSL-1.0
import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const webnn_browser =
  process.env.EVERPOOL_WEBNN_BROWSER ??
  fileURLToPath(
    new URL('../../../src/web/node_modules/.webnn-browser/headless_shell', import.meta.url),
  );

const paths = {
  'chromium-headless-shell': ['/usr/lib/chromium/chromium-headless-shell'],
  chromium: ['/usr/lib/chromium/chromium', '/usr/lib/chromium-browser/chromium-browser'],
  firefox: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
  webnn: [webnn_browser],
};

const is_executable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The executable of `name`, undefined if it is nowhere. */
export const find_browser = (name) => paths[name].find(is_executable);

/** Why tests with `name` cannot run, for node:test's `skip`; false if they can. */
export const reason_to_skip = (name) =>
  find_browser(name) === undefined && `${name} was not found: looked for ${paths[name].join(', ')}`;

const chromium_flags = [
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--metrics-recording-only',
  '--password-store=basic',
  '--disable-dev-shm-usage',
  '--disable-breakpad',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
  '--enable-unsafe-webgpu',
];

const firefox_preferences = {
  'app.normandy.enabled': false,
  'app.update.auto': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  'browser.region.network.url': '',
  'browser.region.update.enabled': false,
  'browser.search.update': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.usage.uploadEnabled': false,
  'dom.max_script_run_time': 0,
  'dom.push.connection.enabled': false,
  'dom.webgpu.enabled': true,
  'extensions.getAddons.cache.enabled': false,
  'extensions.update.enabled': false,
  'gfx.webgpu.ignore-blocklist': true,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 1,
  'network.proxy.no_proxies_on': '127.0.0.1,localhost',
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 1,
  'network.proxy.type': 1,
  'network.trr.mode': 5,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'startup.homepage_welcome_url': 'about:blank',
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': 'data:,dummy',
};

const command_lines = {
  'chromium-headless-shell': chromium_command,
  chromium: (url, dir) => ['--headless=new', ...chromium_command(url, dir)],
  webnn: (url, dir) => [
    '--enable-features=WebMachineLearningNeuralNetwork',
    ...chromium_command(url, dir),
  ],
  firefox: firefox_command,
};

function chromium_command(url, dir) {
  const as_root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return [...as_root, ...chromium_flags, `--user-data-dir=${join(dir, 'profile')}`, url];
}

function firefox_command(url, dir) {
  const lines = Object.entries(firefox_preferences).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(dir, 'user.js'), lines.join(''));
  return ['--headless', '--no-remote', '--profile', dir, url];
}

export class Browser {
  #process;
  #directory;
  #exited;
  words = ''; // the last of what it wrote

  constructor(name, url) {
    this.#directory = mkdtempSync(join(tmpdir(), 'everpool-page-test-'));
    this.#process = spawn(find_browser(name), command_lines[name](url, this.#directory), {
      detached: true, // a process group of its own
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: this.#directory,
        TMPDIR: this.#directory,
        XDG_RUNTIME_DIR: this.#directory,
        MOZ_CRASHREPORTER_DISABLE: '1',
        MOZ_DATA_REPORTING: '0',
        MOZ_REMOTE_SETTINGS_DEVTOOLS: '1',
      },
    });
    const listen = (bytes) => {
      this.words = (this.words + bytes).slice(-4000);
    };
    this.#process.stdout.on('data', listen);
    this.#process.stderr.on('data', listen);
    this.#exited = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.once('error', listen);
    process.once('exit', this.#kill);
  }

  /** Ends the process of the browser's that has this --type; true if there was one. */
  kill_child(type) {
    const child = processes_of_group(this.#process.pid).find(({ command }) =>
      command.includes(`--type=${type}`),
    );
    if (child !== undefined) process.kill(child.pid, 'SIGKILL');
    return child !== undefined;
  }

  async close() {
    this.#kill();
    await this.#exited;
    process.removeListener('exit', this.#kill);
    // Children that were still writing when their parent was reaped are retried.
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #kill = () => {
    try {
      process.kill(-this.#process.pid, 'SIGKILL');
    } catch {
      // gone already
    }
  };
}

/** [{pid, command}] of a process group, from /proc. */
function processes_of_group(group) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (Number(fields[2]) !== group) return [];
        return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }];
      } catch {
        return [];
      }
    });
}
