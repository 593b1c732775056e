// Parts of scenario_recovery: what a browser takes for the same steps when nothing watches over it.
// SPDX-License-Identifier: BSL-1.0
//
// A bare browser beside a pool of one worker that is under the same load: started, its page opened,
// the model loaded and run once; then the page is reloaded, and the model loaded and run once more;
// and once more after its process was killed, which not every browser survives.
// That is what a worker's recovery has to do, in the same circumstances: one browser works, another
// one comes back.
#pragma once

#include "io/bridge.hpp"
#include "io/browser.hpp"
#include "recovery_load.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <everpool/everpool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace scenario {

/// In ms, one entry per round.
struct RecoveryFloors {
    std::vector<double> cold_start, reload; ///< each with the model's load and first run
    std::vector<double> session;            ///< the model's load and first run alone
    /// As `reload`, of a page whose process has died, from when that is known on.
    std::vector<double> reload_after_crash;

    void add(const RecoveryFloors& other) {
        const auto append = [](std::vector<double>& into, const std::vector<double>& from) {
            into.insert(into.end(), from.begin(), from.end());
        };
        append(cold_start, other.cold_start);
        append(reload, other.reload);
        append(session, other.session);
        append(reload_after_crash, other.reload_after_crash);
    }
};

class BareBrowser final : everpool::io::BrowserListener, everpool::io::BridgeListener {
public:
    BareBrowser(const everpool::BrowserSpec& browser, const everpool::ModelSpec& model)
        : model_(model), survives_its_page_(browser.type != everpool::BrowserType::webkit) {
        if (bridge_.listen()) throw std::runtime_error("the bridge cannot listen");
        bridge_.add_model(model.name, model.file);
        everpool::io::BrowserOptions options;
        options.spec = browser;
        everpool::error_code ec;
        everpool::Diagnostics why;
        options.spec.executable = everpool::io::find_browser(browser, ec, why);
        if (ec) throw std::runtime_error(why.text());
        options.nest = &nest_;
        options.directory = nest_.make_directory();
        browser_ = everpool::io::make_browser(context_.get_executor(), std::move(options), *this);
    }

    /// One cold start, and one reload of each kind.
    void measure(RecoveryFloors& into) {
        const auto started = Clock::now();
        browser_->async_launch([this](everpool::error_code ec, const everpool::Diagnostics& why) {
            if (ec) return fail(why.text());
            browser_->async_open_page(admit(), [this](everpool::error_code ec2,
                                                      const everpool::Diagnostics& why2,
                                                      everpool::io::PageId page) {
                if (ec2) fail(why2.text());
                page_ = std::move(page);
            });
        });
        run_until_answered();
        into.cold_start.push_back(milliseconds(Clock::now() - started));
        into.session.push_back(milliseconds(answered_ - asked_));

        into.reload.push_back(reload());
        into.session.push_back(milliseconds(answered_ - asked_));
        if (survives_its_page_) {
            has_crashed_ = false;
            browser_->crash_page(page_);
            run_until([&] { return has_crashed_; });
            into.reload_after_crash.push_back(reload());
        }
        bool is_closed = false;
        browser_->async_close(
            false, [&](everpool::error_code, const everpool::Diagnostics&) { is_closed = true; });
        run_until([&] { return is_closed; });
    }

private:
    double reload() {
        const auto begun = Clock::now();
        browser_->async_reload_page(
            page_, admit(), [this](everpool::error_code ec, const everpool::Diagnostics& why) {
                if (ec) fail(why.text());
            });
        run_until_answered();
        return milliseconds(Clock::now() - begun);
    }

    std::string admit() {
        ++generation_.value;
        hellos_ = 0;
        has_answered_ = false;
        return bridge_.admit(everpool::WorkerId{0}, generation_);
    }

    template <class Condition>
    void run_until(Condition is_true) {
        const auto deadline = Clock::now() + std::chrono::minutes{1};
        context_.restart();
        while (!is_true() && !trouble_ && context_.run_one_until(deadline) != 0) {}
        if (trouble_) throw std::runtime_error("the bare browser: " + *trouble_);
        if (!is_true()) throw std::runtime_error("the bare browser did not answer");
    }
    void run_until_answered() {
        run_until([&] { return has_answered_; });
    }

    void fail(std::string why) {
        if (!trouble_) trouble_ = std::move(why);
    }

    void on_browser_exited(int) override {}
    void on_page_crashed(const everpool::io::PageId&, const std::string& reason) override {
        if (std::exchange(has_crashed_, true)) fail("its page crashed: " + reason);
    }
    void on_hello(everpool::WorkerId, everpool::Generation, everpool::wire::Channel,
                  everpool::wire::Hello) override {
        if (++hellos_ < 2) return;
        asked_ = Clock::now();
        tell(everpool::wire::LoadModel{1, model_.name,
                                       everpool::io::Bridge::model_path(model_.name),
                                       std::filesystem::file_size(model_.file), model_.providers});
    }
    void on_message(everpool::WorkerId, everpool::Generation, everpool::wire::Channel,
                    everpool::wire::Message message) override {
        if (const auto* error = std::get_if<everpool::wire::RemoteError>(&message))
            return fail(error->message);
        if (std::holds_alternative<everpool::wire::Ready>(message)) {
            everpool::wire::Run run;
            run.id = 2;
            run.operation = "inference";
            run.model = model_.name;
            run.tensors = model_.warm_up->inputs;
            return tell(run);
        }
        if (!std::holds_alternative<everpool::wire::RunResult>(message)) return;
        answered_ = Clock::now();
        has_answered_ = true;
    }
    void on_closed(everpool::WorkerId, everpool::Generation, everpool::wire::Channel,
                   everpool::error_code, std::uint16_t) override {}
    void tell(const everpool::wire::Message& message) {
        if (bridge_.send(everpool::WorkerId{0}, everpool::wire::Channel::data, message))
            fail("its page cannot be told anything");
    }

    everpool::ModelSpec model_;
    bool survives_its_page_; ///< a WebDriver session of WebKitGTK does not
    boost::asio::io_context context_{1};
    everpool::io::BrowserNest nest_;
    everpool::io::Bridge bridge_{
        context_.get_executor(),
        everpool::io::BridgeConfig{.frame_bytes_max = 16 << 20, .write_queue_bytes_max = 32 << 20},
        *this};
    everpool::Generation generation_{};
    std::unique_ptr<everpool::io::Browser> browser_;
    everpool::io::PageId page_;
    int hellos_{0};
    bool has_answered_{false};
    bool has_crashed_{true}; ///< or no crash of its page is wanted
    everpool::TimePoint asked_{}, answered_{};
    std::optional<std::string> trouble_;
};

/// `rounds` of each, beside a pool of one such browser under load.
inline RecoveryFloors measure_floors(const everpool::BrowserSpec& browser,
                                     const everpool::ModelSpec& spec,
                                     const everpool::tests::ModelSamples& model,
                                     std::size_t rounds) {
    RecoveryFloors out;
    everpool::ResourcePoolConfig config;
    config.browsers = {browser};
    config.browsers.at(0).count = 1;
    config.models = {spec};
    everpool::Runtime runtime;
    everpool::ResourcePool pool{runtime.get_executor(), config};
    (void)runtime.start(pool);
    {
        RecoveryLoad load(pool, model);
        load.wait_for(16);
        (void)let_compile(load, browser.type);
        for (std::size_t i = 0; i < rounds; ++i) BareBrowser(browser, spec).measure(out);
    }
    runtime.stop(pool);
    return out;
}

} // namespace scenario
