// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/setting_record.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/fake/temporary_folder.hpp"

namespace {

using ipvs::ChangedSetting;
using ipvs::SettingRecord;

const std::string kBoot = "a-boot net:[4026531840] 7";

class Folder : public fake::TemporaryFolder {
 public:
  std::string file() const { return path("settings-4026531840"); }
};

}  // namespace

TEST_CASE("the value before the first change is the one that counts") {
  const Folder folder;
  SettingRecord(folder.path(), kBoot).note("net/ipv4/vs/conntrack", "0", "1");
  SettingRecord record(folder.path(), kBoot);
  record.note("net/ipv4/vs/conntrack", "2", "1");
  record.note("net/ipv4/ip_local_reserved_ports", "", "30000-32767");
  record.note("net/ipv4/ip_local_reserved_ports", "30000-32767", "30000-32000");
  CHECK(record.read() ==
        std::vector<ChangedSetting>{{"net/ipv4/vs/conntrack", "0", "1"},
                                    {"net/ipv4/ip_local_reserved_ports", "", "30000-32000"}});
  record.forget("net/ipv4/vs/conntrack");
  CHECK(record.read().size() == 1);
  record.forget("net/ipv4/ip_local_reserved_ports");
  CHECK_FALSE(std::filesystem::exists(folder.file()));
  CHECK(record.fault().empty());
}

TEST_CASE("a record of another boot or one that is damaged is as if there were none") {
  const Folder folder;
  SettingRecord(folder.path(), kBoot).note("net/ipv4/vs/conntrack", "0", "1");
  CHECK(SettingRecord(folder.path(), "b-boot net:[4026531840] 7").read().empty());
  std::ofstream(folder.file(), std::ios::app) << "garbage\n";
  CHECK(SettingRecord(folder.path(), kBoot).read().empty());
  CHECK(SettingRecord("", kBoot).read().empty());
}

TEST_CASE("a record that cannot be written says why") {
  const Folder folder;
  std::filesystem::create_directory(folder.file());
  SettingRecord record(folder.path(), kBoot);
  record.note("net/ipv4/vs/conntrack", "0", "1");
  CHECK(record.fault() == "writing " + folder.file() + ": Is a directory");
  SettingRecord none("", kBoot);
  none.note("net/ipv4/vs/conntrack", "0", "1");
  CHECK(none.fault().empty());
}

TEST_CASE("timeouts are written and read back") {
  const ipvs::Timeouts timeouts{.tcp = 900, .tcp_fin = 120, .udp = 300};
  CHECK(ipvs::setting_text(timeouts) == "900 120 300");
  CHECK(ipvs::parse_timeouts("900 120 300") == timeouts);
  for (const char* text : {"", "900", "900 120 x", "900 120 300 1", "a b c"}) {
    INFO(text);
    CHECK_FALSE(ipvs::parse_timeouts(text).has_value());
  }
}
