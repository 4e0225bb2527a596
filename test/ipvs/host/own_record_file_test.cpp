// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/own_record_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ipvs/state/kernel_error.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

using namespace ipvs;

const std::string kHere = "0e7c net:[4026531840] 1";
const ServerKey kWeb{boost::asio::ip::make_address("10.96.0.1"), 80};
const ServerKey kDns{boost::asio::ip::make_address("fd00::10"), 53, Protocol::kUdp};

ServerOp op(ServerCommand command, const ServerKey& key) {
  return {.command = command, .server = {.key = key}, .destination = {}};
}

class Directory {
 public:
  std::string run() const { return folder_.path("run"); }
  std::string file() const { return run() + "/servers-4026531840"; }
  std::string text() const {
    std::ifstream in(file());
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  // What the next start reads.
  std::optional<std::vector<ServerKey>> read(const std::string& where = kHere) const {
    return OwnRecordFile(run(), where).read();
  }

 private:
  fake::TemporaryFolder folder_;
};

// One change with its outcome, as LinuxKernel makes it.
void change(OwnRecordFile& record, const ServerOp& o, int outcome) {
  record.before({&o, 1});
  record.after({&o, 1}, {&outcome, 1});
}

using Keys = std::vector<ServerKey>;

}  // namespace

TEST_CASE("a virtual server is in the record before it is created, and until after its end (C3)") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  CHECK_FALSE(record.read());
  REQUIRE(record.replace({}).has_value());
  const ServerOp add = op(ServerCommand::kNewService, kWeb);
  record.before({&add, 1});
  CHECK(directory.read() == Keys{kWeb});  // killed here, it is known
  const int done = 0;
  record.after({&add, 1}, {&done, 1});
  const ServerOp remove = op(ServerCommand::kDelService, kWeb);
  record.before({&remove, 1});
  CHECK(directory.read() == Keys{kWeb});
  record.after({&remove, 1}, {&done, 1});
  CHECK(directory.read() == Keys{});
}

TEST_CASE("what the kernel refuses to create is not ours; what may have been created is (C4)") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace({}).has_value());
  change(record, op(ServerCommand::kNewService, kWeb), EEXIST);
  CHECK(directory.read() == Keys{});
  change(record, op(ServerCommand::kNewService, kWeb), kUnknownOutcome);
  CHECK(directory.read() == Keys{kWeb});
  change(record, op(ServerCommand::kNewService, kWeb), EEXIST);  // it had been created
  CHECK(directory.read() == Keys{kWeb});
  change(record, op(ServerCommand::kDelService, kWeb), kUnknownOutcome);
  CHECK(directory.read() == Keys{kWeb});
  change(record, op(ServerCommand::kDelService, kWeb), ESRCH);
  CHECK(directory.read() == Keys{});
}

TEST_CASE("to set a virtual server is to own it (C1)") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace({}).has_value());
  change(record, op(ServerCommand::kSetService, kWeb), 0);
  CHECK(directory.read() == Keys{kWeb});
  change(record, op(ServerCommand::kSetService, kDns), ESRCH);
  CHECK(directory.read() == Keys{kWeb});
}

TEST_CASE("changes of destinations do not touch the record") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace(Keys{kWeb}).has_value());
  const std::string before = directory.text();
  change(record, op(ServerCommand::kNewDest, kWeb), 0);
  change(record, op(ServerCommand::kDelDest, kDns), 0);
  CHECK(directory.text() == before);
}

TEST_CASE("the record of another boot or namespace is void (C3)") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace(Keys{kWeb}).has_value());
  CHECK(directory.read() == Keys{kWeb});
  CHECK_FALSE(directory.read("0e7d net:[4026531840] 1"));
  CHECK_FALSE(directory.read("0e7c net:[4026531840] 2"));
  CHECK_FALSE(directory.read("0e7c net:[4026531841] 1"));
}

TEST_CASE("a thousand changes of one virtual server do not make the record grow for ever") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace(Keys{kDns}).has_value());
  for (int i = 0; i < 2000; ++i) {
    change(record, op(ServerCommand::kNewService, kWeb), 0);
    change(record, op(ServerCommand::kDelService, kWeb), 0);
  }
  CHECK(directory.text().size() < 1100 * 20);
  CHECK(directory.read() == Keys{kDns});
}

TEST_CASE("a record that is deleted is written again, by the next change or by the check (C3)") {
  const Directory directory;
  OwnRecordFile record(directory.run(), kHere);
  REQUIRE(record.replace(Keys{kDns}).has_value());
  SECTION("the file") { std::filesystem::remove(directory.file()); }
  SECTION("the directory") { std::filesystem::remove_all(directory.run()); }
  SECTION("by a change") {
    std::filesystem::remove(directory.file());
    change(record, op(ServerCommand::kNewService, kWeb), 0);
    CHECK(directory.read() == Keys{kWeb, kDns});
    change(record, op(ServerCommand::kDelService, kWeb), 0);
    std::filesystem::remove(directory.file());
  }
  CHECK(record.check().has_value());
  CHECK(directory.read() == Keys{kDns});
}

TEST_CASE("whatever is in the place of the record, it can be read and costs no start (C3)") {
  const Directory directory;
  std::filesystem::create_directory(directory.run());
  SECTION("garbage") { std::ofstream(directory.file()) << std::string(5000, '\x7f'); }
  SECTION("a newer version") {
    std::ofstream(directory.file())
        << "kube-ipvs-own-servers 2 " << kHere << "\n+TCP 10.96.0.1 80\n";
  }
  SECTION("an empty file") { std::ofstream(directory.file()) << ""; }
  SECTION("a FIFO") { REQUIRE(::mkfifo(directory.file().c_str(), 0600) == 0); }
  SECTION("a link") { REQUIRE(::symlink("/etc/passwd", directory.file().c_str()) == 0); }
  CHECK_FALSE(directory.read());
  OwnRecordFile record(directory.run(), kHere);
  CHECK(record.replace(Keys{kWeb}).has_value());
  CHECK(directory.read() == Keys{kWeb});
}

TEST_CASE("a record that cannot be written says why, and is written when it can be (C3)") {
  const Directory directory;
  std::filesystem::create_directories(directory.file() + "/not-empty");
  OwnRecordFile record(directory.run(), kHere);
  const auto written = record.replace(Keys{kWeb});
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().text().find(directory.file()) != std::string::npos);
  change(record, op(ServerCommand::kNewService, kDns), 0);
  CHECK_FALSE(record.check().has_value());
  std::filesystem::remove_all(directory.file());
  CHECK(record.check().has_value());
  CHECK(directory.read() == Keys{kWeb, kDns});
}

TEST_CASE("without a directory there is no record") {
  OwnRecordFile record("", kHere);
  CHECK(record.replace(Keys{kWeb}).has_value());
  change(record, op(ServerCommand::kNewService, kDns), 0);
  CHECK_FALSE(record.read());
  CHECK(record.check().has_value());
  CHECK(record.remove().has_value());
}

TEST_CASE("the kernel and the network namespace have names, which stay the same") {
  const std::string name = kernel_and_namespace();
  CHECK(name.find(" net:[") != std::string::npos);
  CHECK(name == kernel_and_namespace());
}
