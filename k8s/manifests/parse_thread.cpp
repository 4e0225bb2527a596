// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/parse_thread.hpp"

#include <exception>

#include "k8s/manifests/json.hpp"
#include "k8s/manifests/parse.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;

}  // namespace

ReadManifest read_manifest(const std::string& path, const std::atomic<bool>* stop, bool headless) {
  config::FileText read = config::read_file(path, kMaxManifestBytes);
  ReadManifest result{
      .parsed = {}, .fault = std::move(read.fault), .error_number = read.error_number};
  if (result.fault.empty())
    result.parsed = parse_manifest(read.text, format_of(path), stop, headless);
  return result;
}

// Only the two posts cross threads; the cancellation slot is used on the caller's thread alone.
asio::awaitable<ReadManifest> ParseThread::read(std::string path) {
  if (!pool_) pool_.emplace(1);
  const asio::any_io_executor caller = co_await asio::this_coro::executor;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                          void(std::exception_ptr, ReadManifest)>(
      [this, caller](auto handler, std::string file) {
        auto stop = std::make_shared<std::atomic<bool>>(false);
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          slot.assign([stop](asio::cancellation_type) { stop->store(true); });
        }
        asio::post(*pool_, [caller, slot, stop, headless = headless_, handler = std::move(handler),
                            file = std::move(file)]() mutable {
          std::exception_ptr error;
          ReadManifest result;
          try {
            result = read_manifest(file, stop.get(), headless);
          } catch (...) {
            error = std::current_exception();
          }
          asio::post(caller, [slot, handler = std::move(handler), error = std::move(error),
                              result = std::move(result)]() mutable {
            slot.clear();
            handler(std::move(error), std::move(result));
          });
        });
      },
      asio::use_awaitable, std::move(path));
}

}  // namespace k8s
