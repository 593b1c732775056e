// SPDX-License-Identifier: BSL-1.0
#include "log_everpool.hpp"

#include <utility>

namespace bench {

using namespace everpool;

EverpoolLog::EverpoolLog(const std::filesystem::path& path, log::RecoveryVisitor& visitor) {
    Diagnostics why;
    error_code ec = io::FileDirectory::open(path, directory_, why);
    check(!ec, why.text());
    std::optional<log::Ledger> ledger;
    ec = log::Ledger::open(*directory_, {.compressor = &zstd_},
                           log::LogId{{'b', 'e', 'n', 'c', 'h'}}, visitor, report, why, ledger);
    check(!ec, why.text());
    committer_ = std::make_unique<io::LogCommitter>(std::move(*ledger), io::LogCommitterConfig{});
}

namespace {

class EverpoolStore final : public RecordStore {
public:
    EverpoolStore(const std::filesystem::path& path, Level level)
        : level_(level), log_(path, nothing_) {}

    void commit(std::uint64_t, std::span<const std::byte> record) override {
        log::Lsn lsn;
        error_code ec = log_.committer().append(record, lsn);
        if (!ec)
            ec = level_ == Level::os ? log_.committer().write_out(lsn)
                                     : log_.committer().wait_durable(lsn);
        if (ec) throw boost::system::system_error(ec);
    }

private:
    const Level level_;
    CountingVisitor nothing_;
    EverpoolLog log_;
};

} // namespace

StorePtr make_everpool_store(const std::filesystem::path& directory, Level level) {
    return std::make_unique<EverpoolStore>(directory, level);
}

} // namespace bench
