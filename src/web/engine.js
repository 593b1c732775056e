// Everpool worker page: which browser this is. Pure.
// SPDX-License-Identifier: BSL-1.0

/**
 * {name, version, user_agent} from the user agent string and, where the browser has them, its
 * brands ([{brand, version}], with full versions: the user agent string of Chromium has only the
 * first number). name is "chromium", "chrome", "edge", "firefox", "webkit" or "unknown".
 */
export function engine_from(user_agent, brands = []) {
  for (const [brand, name] of [
    ['Microsoft Edge', 'edge'],
    ['Google Chrome', 'chrome'],
    ['HeadlessChrome', 'chromium'],
    ['Chromium', 'chromium'],
  ]) {
    const match = brands.find((candidate) => candidate.brand === brand);
    if (match) return { name, version: match.version, user_agent };
  }
  for (const [pattern, name] of [
    [/\bFirefox\/([\d.]+)/, 'firefox'],
    [/\bEdg\/([\d.]+)/, 'edge'],
    [/\b(?:Headless)?Chrom(?:e|ium)\/([\d.]+)/, 'chromium'],
    [/\bVersion\/([\d.]+).*Safari\//, 'webkit'],
    [/\bAppleWebKit\/([\d.]+)/, 'webkit'],
  ]) {
    const match = pattern.exec(user_agent);
    if (match) return { name, version: match[1], user_agent };
  }
  return { name: 'unknown', version: '', user_agent };
}

/** Asks the browser. Works in windows and in workers; `scope` is globalThis. */
export async function detect_engine(scope) {
  const { navigator } = scope;
  let brands = [];
  try {
    const values = await navigator.userAgentData?.getHighEntropyValues(['fullVersionList']);
    brands = values?.fullVersionList ?? [];
  } catch {
    // Refused: the user agent string has to do.
  }
  return engine_from(navigator.userAgent, brands);
}
