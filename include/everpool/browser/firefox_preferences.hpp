// Everpool browser: the preferences of a Firefox worker, each group with its reason.
// SPDX-License-Identifier: BSL-1.0
//
// Measured on Firefox ESR 153. They go into the profile's user.js before the start.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace everpool::browser {

/// Name and value as user.js has them.
inline constexpr std::pair<std::string_view, std::string_view> firefox_preferences[] = {
    // Nothing to greet, to restore or to ask.
    {"browser.shell.checkDefaultBrowser", "false"},
    {"browser.startup.homepage", "\"about:blank\""},
    {"browser.startup.page", "0"},
    {"startup.homepage_welcome_url", "\"about:blank\""},
    {"browser.startup.homepage_override.mstone", "\"ignore\""},
    {"browser.newtabpage.enabled", "false"},
    {"browser.newtab.preload", "false"},
    {"browser.aboutwelcome.enabled", "false"},
    {"browser.tabs.warnOnClose", "false"},
    {"browser.sessionstore.resume_from_crash", "false"},
    {"toolkit.startup.max_resumed_crashes", "-1"},

    // Silence: all of these were needed for no connection to a foreign host within 25 s.
    {"datareporting.policy.dataSubmissionEnabled", "false"},
    {"datareporting.healthreport.uploadEnabled", "false"},
    {"datareporting.usage.uploadEnabled", "false"},
    {"toolkit.telemetry.enabled", "false"},
    {"toolkit.telemetry.server", "\"data:,dummy\""},
    {"app.update.enabled", "false"},
    {"app.update.auto", "false"},
    {"extensions.update.enabled", "false"},
    {"extensions.getAddons.cache.enabled", "false"},
    {"app.normandy.enabled", "false"},
    {"network.captive-portal-service.enabled", "false"},
    {"network.connectivity-service.enabled", "false"},
    {"network.dns.disablePrefetch", "true"},
    {"network.prefetch-next", "false"},
    {"network.trr.mode", "5"},
    {"dom.push.connection.enabled", "false"},
    {"browser.safebrowsing.malware.enabled", "false"},
    {"browser.safebrowsing.phishing.enabled", "false"},
    {"browser.safebrowsing.downloads.enabled", "false"},
    {"media.gmp-manager.updateEnabled", "false"},
    {"browser.topsites.contile.enabled", "false"},
    {"browser.region.network.url", "\"\""},
    {"browser.region.update.enabled", "false"},
    {"browser.search.update", "false"},
    {"services.settings.server", "\"data:,#remote-settings-dummy/v1\""},
    {"network.proxy.type", "1"},
    {"network.proxy.http", "\"127.0.0.1\""},
    {"network.proxy.http_port", "1"},
    {"network.proxy.ssl", "\"127.0.0.1\""},
    {"network.proxy.ssl_port", "1"},
    {"network.proxy.no_proxies_on", "\"127.0.0.1\""},

    // Control by WebDriver BiDi only.
    {"remote.active-protocols", "1"},

    // WebGPU, also on software adapters; both are needed.
    {"dom.webgpu.enabled", "true"},
    {"gfx.webgpu.ignore-blocklist", "true"},

    // A worker computes for long and is never looked at.
    {"dom.max_script_run_time", "0"},
    {"dom.max_chrome_script_run_time", "0"},
    {"browser.tabs.unloadOnLowMemory", "false"},
    {"network.websocket.delay-failed-reconnects", "false"},
};

/// The contents of user.js.
inline std::string firefox_user_js() {
    std::string out;
    for (const auto& [name, value] : firefox_preferences)
        out += "user_pref(\"" + std::string(name) + "\", " + std::string(value) + ");\n";
    return out;
}

} // namespace everpool::browser
