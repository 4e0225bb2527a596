// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/source.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "k8s/async/cancellation.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
using Milliseconds = ManifestOptions::Milliseconds;

constexpr Milliseconds kRetry{1000};
constexpr int kMostSettles = 20;
// What is parsed at once: about 20 ms of the event loop. More is left to the thread.
constexpr std::uintmax_t kShortBytes = 16'384;

asio::awaitable<void> wait_on_timer(Milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

// Whether an error is over some time without anything about the file being changed.
bool passes(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM;
}

// The system's clock as it was at the first call, and from then on without its jumps: grace periods
// are neither cut short nor prolonged by them.
UnixSeconds system_now() {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  static const auto at_first = system_clock::now().time_since_epoch();
  static const auto begun = steady_clock::now();
  return duration_cast<seconds>(at_first + (steady_clock::now() - begun)).count();
}

// When the file or its name was last changed, by the system's clock; 0: unknown. A file that was
// moved here may have been written long before.
UnixSeconds change_time(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ctim.tv_sec : 0;
}

// What the endpoint slice controller writes for those who measure how long a change takes.
constexpr const char* kTriggerTime = "endpoints.kubernetes.io/last-change-trigger-time";

std::string rfc3339(UnixSeconds time) {
  const std::time_t seconds = time;
  std::tm parts{};
  std::array<char, 32> text{};
  ::gmtime_r(&seconds, &parts);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

// `changed`: when the file with the objects was; 0: nobody asks for this kind.
template <typename T>
void deliver_kind(Sink<T>* sink, const ManifestChange<T>& change, bool is_first,
                  UnixSeconds changed = 0) {
  if (sink == nullptr) return;
  if (is_first) sink->list_started();
  for (const ObjectKey& key : change.removed) sink->remove(key);
  for (const auto& object : change.upserted) {
    T copy(*object);
    if (changed != 0) copy.meta.annotations[kTriggerTime] = rfc3339(changed);
    sink->upsert(std::move(copy));
  }
  if (is_first) sink->list_finished();
}

}  // namespace

ManifestSource::ManifestSource(asio::any_io_executor executor, const Sinks& sinks,
                               ManifestOptions options, FaultHandler on_fault)
    : sinks_(sinks),
      options_(std::move(options)),
      on_fault_(std::move(on_fault)),
      directory_(std::move(executor), options_.directory),
      set_(options_.ranges),
      thread_(options_.for_dns) {
  if (!options_.now) options_.now = system_now;
  if (!options_.wait) options_.wait = wait_on_timer;
}

asio::awaitable<void> ManifestSource::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (true) {
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return;
    if (directory_.is_open() || reopen()) co_await read_changes();
    const bool stopped = co_await is_cancelled();
    if (stopped) co_return;
    deliver();
    co_await wait_for_change();
    co_await wait_for_quiet();
  }
}

// ------------------------------------------------------------------ files in

bool ManifestSource::reopen() {
  everything_due_ = true;
  was_lost_ = has_listed_;
  const auto error = directory_.open();
  if (error) fault(error.message());
  return !error;
}

asio::awaitable<void> ManifestSource::read_changes() {
  const ManifestDirectory::Changes changes = directory_.take_changes();
  if (changes.everything || everything_due_) {
    co_await read_everything();
  } else {
    std::set<std::string> names = changes.names;
    names.insert(unread_.begin(), unread_.end());
    std::vector<std::string> all(names.begin(), names.end());
    co_await read_files(std::move(all));
  }
}

asio::awaitable<void> ManifestSource::read_everything() {
  everything_due_ = true;
  const auto names = directory_.list();
  if (!names) {
    fault(names.error().message());
    co_return;
  }
  // The directory was just created again, and its files are still to come.
  if (was_lost_ && names->empty()) {
    fault("exists again, but is empty");
    co_return;
  }
  everything_due_ = was_lost_ = false;
  has_listed_ = true;
  last_fault_.clear();
  for (const std::string& known : set_.files()) {
    const std::string name = known.substr(directory_.path().size() + 1);
    if (!std::binary_search(names->begin(), names->end(), name)) set_.drop(known);
  }
  co_await read_files(*names);
}

// Files that are small together are read at once, the rest one after another on the thread.
asio::awaitable<void> ManifestSource::read_files(std::vector<std::string> names) {
  std::uintmax_t left = kShortBytes;
  for (const std::string& name : names) {
    directory_.follow_link(name);
    std::error_code unknown;
    const std::uintmax_t size = std::filesystem::file_size(path_of(name), unknown);
    if (unknown || size <= left) {
      if (!unknown) left -= size;
      take_file(name, read_manifest(path_of(name), nullptr, options_.for_dns));
      continue;
    }
    left = 0;
    ReadManifest read = co_await thread_.read(path_of(name));
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return;
    take_file(name, std::move(read));
  }
}

void ManifestSource::take_file(const std::string& name, ReadManifest read) {
  const bool is_missing = read.error_number == ENOENT;
  if (!passes(read.error_number)) {
    unread_.erase(name);
  } else if (!unread_.insert(name).second) {
    return;  // reported
  }
  directory_.watch_mode_of(name, !read.fault.empty() && !is_missing);
  if (is_missing) {
    set_.drop(path_of(name));
  } else if (!read.fault.empty()) {
    set_.put_unreadable(path_of(name), read.fault);
  } else {
    set_.put(path_of(name), std::move(read.parsed));
    changed_ = std::max(changed_, change_time(path_of(name)));
  }
}

void ManifestSource::fault(std::string what) {
  what = "manifest directory " + directory_.path() + ": " + what +
         (has_listed_ ? ": the last state stays" : ": waiting for it");
  if (what == last_fault_) return;
  last_fault_ = what;
  if (on_fault_) on_fault_({"manifest", std::move(what)});
}

// ------------------------------------------------------------------ changes out

void ManifestSource::deliver() {
  if (!has_listed_) return;
  // The first lists remove what they do not have.
  if (!has_delivered_ && !unread_.empty()) {
    return fault(*unread_.begin() + " cannot be read for now");
  }
  const ManifestChanges changes = set_.take_changes(options_.now());
  const bool is_first = !std::exchange(has_delivered_, true);
  if (on_fault_) std::for_each(changes.faults.begin(), changes.faults.end(), on_fault_);
  deliver_kind(sinks_.nodes, changes.of<Node>(), is_first);
  deliver_kind(sinks_.services, changes.of<Service>(), is_first);
  const UnixSeconds changed = std::exchange(changed_, 0);
  deliver_kind(sinks_.slices, changes.of<EndpointSlice>(), is_first, changed);
  Sink<Pod>* const pods = sinks_.pods ? sinks_.pods : sinks_.weighted_pods;  // only one is there
  deliver_kind(pods, changes.of<Pod>(), is_first, changed);
}

// ------------------------------------------------------------------ waiting

std::optional<Milliseconds> ManifestSource::next_deadline() const {
  std::optional<Milliseconds> wait;
  if (everything_due_ || !directory_.is_open() || !unread_.empty()) wait = kRetry;
  if (const auto removal = set_.next_removal()) {
    const std::chrono::seconds left(std::max<UnixSeconds>(*removal - options_.now(), 0));
    wait = std::min<Milliseconds>(wait.value_or(left), left);
  }
  return wait;
}

asio::awaitable<void> ManifestSource::wait_for_change() {
  using namespace asio::experimental::awaitable_operators;
  const std::optional<Milliseconds> deadline = next_deadline();
  if (!deadline) {
    co_await directory_.wait();
  } else if (!directory_.has_events()) {
    co_await options_.wait(*deadline);
  } else {
    try {
      co_await (directory_.wait() || options_.wait(*deadline));
    } catch (const std::exception&) {
      // Cancelled before the two had started: run() checks for it.
    }
  }
}

asio::awaitable<void> ManifestSource::wait_for_quiet() {
  for (int i = 0; directory_.drain() && i < kMostSettles; ++i) {
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return;
    co_await options_.wait(options_.settle);
  }
}

}  // namespace k8s
