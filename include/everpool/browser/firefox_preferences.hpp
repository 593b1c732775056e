// Everpool browser: the preferences of a Firefox worker, each group with its reason.
// SPDX-License-Identifier: BSL-1.0
//
// Measured on Firefox ESR 153. They go into the profile's user.js before the start.
#pragma once

#include <algorithm>
#include <span>
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

    // One process is kept ready, so that a page whose process has died need not wait for a new
    // one: it is back after 1.00 to 1.03 s, without after 1.00 to 1.18 s, with the model. The next
    // one is made when the page has begun to serve (by default it is made 1 s after, in its way),
    // and one is enough (3 by default).
    {"dom.ipc.processPrelaunch.enabled", "true"},
    {"dom.ipc.processPrelaunch.fission.number", "1"},
    {"dom.ipc.processPrelaunch.delayMs", "5000"},

    // A worker computes for long and is never looked at.
    {"dom.max_script_run_time", "0"},
    {"dom.max_chrome_script_run_time", "0"},
    {"browser.tabs.unloadOnLowMemory", "false"},
    {"network.websocket.delay-failed-reconnects", "false"},
};

/// A name of a preference, and a value as user.js has it: true, false, an integer, or a text
/// between quotes. What is neither could end the line and say something else.
constexpr bool is_firefox_preference(std::string_view name, std::string_view value) noexcept {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-' || c == '+';
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_plain)) return false;
    if (value == "true" || value == "false") return true;
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
        return std::all_of(value.begin() + 1, value.end() - 1, [](char c) {
            return static_cast<unsigned char>(c) >= ' ' && c != '"' && c != '\\';
        });
    const std::string_view digits = value.starts_with('-') ? value.substr(1) : value;
    return !digits.empty() && digits.size() <= 10 &&
           std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The contents of user.js: ours, then these. Of two with one name the later one counts.
inline std::string
firefox_user_js(std::span<const std::pair<std::string, std::string>> extra = {}) {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view value) {
        out += "user_pref(\"" + std::string(name) + "\", " + std::string(value) + ");\n";
    };
    for (const auto& [name, value] : firefox_preferences) add(name, value);
    for (const auto& [name, value] : extra) add(name, value);
    return out;
}

} // namespace everpool::browser
