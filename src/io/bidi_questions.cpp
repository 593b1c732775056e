// SPDX-License-Identifier: BSL-1.0
#include "io/bidi_questions.hpp"

#include "io/json_text.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace everpool::io {

namespace json = boost::json;

namespace {

json::object evaluation(std::string expression, json::object target) {
    return {{"expression", std::move(expression)},
            {"target", std::move(target)},
            {"awaitPromise", false}};
}

/// The newest of those that an answer lists; empty if it lists none.
std::string last_realm(const json::value& result) {
    const auto* object = result.if_object();
    const auto* realms = object == nullptr ? nullptr : object->if_contains("realms");
    const auto* list = realms == nullptr ? nullptr : realms->if_array();
    return list == nullptr || list->empty() ? std::string() : text_at(list->back(), "realm");
}

} // namespace

void BidiQuestions::ask_page(const PageId& page, Handler handler) const {
    client_->send(
        "script.evaluate", evaluation("1", {{"context", page}}),
        [handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                       const json::value&) { handler(ec, diagnostics); },
        timeout_);
}

void BidiQuestions::execute(const PageId& page, PageThread thread, std::string script,
                            Handler handler) const {
    const char* type = thread == PageThread::main ? "window" : "dedicated-worker";
    // Weak: what waits belongs to the client.
    client_->send(
        "script.getRealms", {{"context", page}, {"type", type}},
        [weak = std::weak_ptr(client_), timeout = timeout_, script = std::move(script),
         handler = std::move(handler)](error_code ec, Diagnostics diagnostics,
                                       const json::value& result) {
            const std::string realm = last_realm(result);
            const auto client = weak.lock();
            if (!ec && (realm.empty() || !client)) {
                ec = diagnostics.last_cause = Errc::worker_lost;
                diagnostics.message = "the page has no such thread";
            }
            if (ec) return handler(ec, std::move(diagnostics));
            client->send(
                "script.evaluate", evaluation("1", {{"realm", realm}}),
                [weak, script, realm, handler](error_code failed, const Diagnostics& why,
                                               const json::value&) {
                    if (const auto again = weak.lock(); again && !failed)
                        again->send(
                            "script.evaluate",
                            evaluation("setTimeout(() => {" + script + "}), 1", {{"realm", realm}}),
                            [](error_code, auto&&...) {});
                    handler(failed, why);
                },
                timeout);
        },
        timeout_);
}

} // namespace everpool::io
